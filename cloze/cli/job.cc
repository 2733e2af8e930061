#include "cloze/cli/job.h"

#include <chrono>
#include <thread>

#include "cloze/base/error.h"
#include "cloze/cli/output.h"
#include "cloze/train/mpi_communicator.h"

namespace cloze::cli {
namespace {

/// An error that all processes meet (a file that is not there) is told by rank 0: the others give it time to end the
/// job.
void end_job(Communicator& communicator, const std::string& message, int exit_code) {
  if (communicator.rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  set_quiet(false);
  say(fmt::format("cloze: rank {} of {}: {}", communicator.rank(), communicator.size(), message));
  communicator.abort(exit_code);
}

}  // namespace

void run_in_job(const std::function<void(Communicator&)>& work) {
  const std::unique_ptr<Communicator> job = join_mpi_job();
  if (job == nullptr || job->size() == 1) return work(alone());
  set_quiet(job->rank() != 0);
  try {
    work(*job);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) {
      // All of them stop. The launcher ends the others when the first has gone with an exit code, so that what is to be
      // said must be out before the processes part, in the destructor of `job`.
      say(fmt::format("cloze: {}", error.what()));
      set_quiet(true);
      throw;
    }
    end_job(*job, error.what(), error.code() == ErrorCode::kUsage ? 2 : 1);
  } catch (const std::bad_alloc&) {
    end_job(*job, "out of memory", 1);
  } catch (const std::exception& error) {
    end_job(*job, fmt::format("internal error: {}", error.what()), 1);
  }
}

}  // namespace cloze::cli
