#include "cloze/train/mpi_communicator.h"

#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <numeric>
#include <string>
#include <thread>

#include "cloze/base/error.h"
#include "cloze/base/file.h"
#include "cloze/train/mpi_plugin.h"

namespace cloze {
namespace {

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(const ClozeMpi& mpi) : mpi_(mpi) { check(mpi_.start(&rank_, &size_), "start"); }
  // Without this MPI would call the end of the process a failure of the job. After an error others may never come here:
  // then abort() has ended the job.
  ~MpiCommunicator() override { mpi_.finish(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  Ticket sum_start(std::span<float> values) override {
    void* request = nullptr;
    check(mpi_.sum_f32(values.data(), static_cast<int64_t>(values.size()), &request), "sum");
    open_.push_back(request);
    return first_ + static_cast<Ticket>(open_.size()) - 1;
  }

  /// One test moves all requests; done ones go from the front, for tickets count from there.
  void progress() override {
    while (!open_.empty() && (open_.front() == nullptr || tested(open_.front()))) {
      open_.pop_front();
      ++first_;
    }
  }

  void wait(Ticket ticket) override {
    if (ticket < first_) return;
    void*& request = open_[static_cast<size_t>(ticket - first_)];
    if (request != nullptr) finish(request, Waiting::kBusy);
    request = nullptr;
    progress();
  }

  void sum(std::span<double> values) override {
    void* request = nullptr;
    check(mpi_.sum_f64(values.data(), static_cast<int64_t>(values.size()), &request), "sum");
    finish(request, Waiting::kBusy);
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    constexpr size_t kMost = size_t{64} << 20;
    for (size_t at = 0; at < bytes.size(); at += kMost) {
      const size_t count = std::min(kMost, bytes.size() - at);
      void* request = nullptr;
      check(mpi_.broadcast(bytes.data() + at, static_cast<int64_t>(count), root, &request), "broadcast");
      finish(request, count < kSmallBytes ? Waiting::kPatient : Waiting::kBusy);
    }
  }

  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes) override {
    std::vector<double> lengths(static_cast<size_t>(size_));
    lengths[static_cast<size_t>(rank_)] = static_cast<double>(bytes.size());
    sum(lengths);
    const std::vector<int64_t> counts(lengths.begin(), lengths.end());
    std::vector<std::byte> all(static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), int64_t{0})));
    void* request = nullptr;
    check(mpi_.gather(bytes.data(), static_cast<int64_t>(bytes.size()), all.data(), counts.data(), &request), "gather");
    finish(request, Waiting::kBusy);
    std::vector<std::vector<std::byte>> parts;
    auto begin = all.begin();
    for (const int64_t count : counts) {
      parts.emplace_back(begin, begin + count);
      begin += count;
    }
    return parts;
  }

  void abort(int exit_code) override {
    mpi_.abort(exit_code);
    std::_Exit(exit_code);
  }

 private:
  static constexpr size_t kSmallBytes = 1 << 16;
  /// What a waiter does between two looks. Large messages move only while somebody looks; for small ones, which others
  /// may take minutes to send (an evaluation), the processor is left to those who have work.
  enum class Waiting : uint8_t { kBusy, kPatient };

  void check(int32_t error, const char* what) const {
    if (error == 0) return;
    char text[512] = "";
    mpi_.error_text(error, text, sizeof text);
    fail(ErrorCode::kIo, "MPI: {} failed: {}", what, text);
  }

  bool tested(void* request) const {
    int32_t done = 0;
    check(mpi_.test(request, &done), "test");
    return done != 0;
  }

  void finish(void* request, Waiting waiting) const {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    bool sleepy = false;
    for (int i = 1; !tested(request); ++i) {
      if (sleepy)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      else if (i % 16 == 0)
        sched_yield();  // processes may share a processor: the one that is waited for must get it
      if (!sleepy && waiting == Waiting::kPatient && i % 256 == 0)
        sleepy = Clock::now() - begin > std::chrono::milliseconds(20);
    }
  }

  const ClozeMpi& mpi_;
  int32_t rank_ = 0, size_ = 1;
  std::deque<void*> open_;  ///< sums under way, in the order of their tickets; null: waited for
  Ticket first_ = 0;        ///< ticket of the front
};

/// Processes of the job by the launcher's environment; 0: no launcher; -1: there is one, and it does not say.
int launched_size() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
    if (const char* text = std::getenv(name); text != nullptr) return std::max(1, std::atoi(text));
  return std::getenv("PMIX_RANK") != nullptr ? -1 : 0;
}

const ClozeMpi& load_plugin() {
  std::error_code ignored;
  const Path folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::string reason;
  for (const Path& path : {folder / kMpiPlugin, folder / ".." / "lib" / kMpiPlugin}) {
    if (!std::filesystem::exists(path, ignored)) continue;
    // Global: parts that MPI itself loads later look for its symbols there.
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
      reason = ::dlerror();
      continue;
    }
    const auto entry = reinterpret_cast<decltype(&cloze_mpi)>(::dlsym(library, "cloze_mpi"));
    CLOZE_CHECK(entry != nullptr && entry()->version == kClozeMpiVersion, ErrorCode::kUnsupported,
                "{} belongs to another version of cloze; install both from one build", path.string());
    return *entry();
  }
  fail(ErrorCode::kUnsupported,
       "an MPI launcher started this program as one of several, but {} cannot be loaded from {} or its ../lib{}{}; "
       "build "
       "cloze where MPI is installed (libopenmpi-dev), or start it without mpirun",
       kMpiPlugin, folder.string(), reason.empty() ? "" : ": ", reason);
}

}  // namespace

std::unique_ptr<Communicator> join_mpi_job() {
  const int launched = launched_size();
  if (launched == 0 || launched == 1) return nullptr;
  auto communicator = std::make_unique<MpiCommunicator>(load_plugin());
  CLOZE_CHECK(
      launched < 0 || communicator->size() == launched, ErrorCode::kUnsupported,
      "the launcher started {} processes, but MPI knows of {}: mpirun and the MPI that {} was built with are not "
      "the same",
      launched, communicator->size(), kMpiPlugin);
  return communicator;
}

}  // namespace cloze
