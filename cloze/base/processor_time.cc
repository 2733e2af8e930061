#include "cloze/base/processor_time.h"

#include <time.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "cloze/base/error.h"
#include "cloze/base/file.h"

namespace cloze {
namespace {

struct ScheduleSeconds {
  double ran = 0, waited = 0;
};

/// Of all threads of the process (Linux, Documentation/scheduler/sched-stats.rst: nanoseconds on a processor, in a run
/// queue, and a count).
ScheduleSeconds schedule_seconds() {
  constexpr size_t kMostBytes = 256;
  ScheduleSeconds sum;
  std::error_code error;
  for (std::filesystem::directory_iterator task("/proc/self/task", error), end; !error && task != end;
       task.increment(error)) {
    try {
      std::istringstream numbers(read_file(task->path() / "schedstat", kMostBytes));
      double ran = 0, waited = 0;
      if (!(numbers >> ran >> waited)) continue;
      sum.ran += 1e-9 * ran;
      sum.waited += 1e-9 * waited;
    } catch (const Error&) {
      continue;  // the thread has ended, or the kernel keeps no such numbers
    }
  }
  return sum;
}

}  // namespace

double thread_cpu_seconds() {
  timespec time{};
  CLOZE_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0, ErrorCode::kInternal,
              "the system does not tell how long a thread has run");
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

ProcessorWait::ProcessorWait() : ran_(0), waited_(0) {
  const ScheduleSeconds now = schedule_seconds();
  ran_ = now.ran;
  waited_ = now.waited;
}

double ProcessorWait::share() const {
  const ScheduleSeconds now = schedule_seconds();
  const double ran = std::max(0.0, now.ran - ran_), waited = std::max(0.0, now.waited - waited_);
  return ran + waited > 0 ? waited / (ran + waited) : 0;
}

}  // namespace cloze
