// A small team of threads with static partition: it spins briefly, then parks. Nothing nests; a call from inside a
// worker runs on that worker alone.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace cloze {

class ThreadTeam {
 public:
  /// `threads` >= 1 counts the calling thread.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  /// Runs work(worker, workers) once on each thread of the team and waits for all. If a worker throws, one of the
  /// exceptions is thrown again here, after all have ended.
  template <class Work>
  void run(Work&& work) {
    using Plain = std::remove_reference_t<Work>;
    dispatch([](void* context, int worker, int workers) { (*static_cast<Plain*>(context))(worker, workers); },
             const_cast<void*>(static_cast<const void*>(&work)));
  }

  /// Splits [0, n) into one contiguous range a thread, of at least `grain` items each: work(begin, end).
  template <class Work>
  void for_ranges(int64_t n, int64_t grain, Work&& work) {
    const int64_t parts = std::min<int64_t>(size(), grain > 0 ? n / grain : n);
    if (parts <= 1) {
      if (n > 0) work(int64_t{0}, n);
      return;
    }
    run([&](int worker, int) {
      if (worker >= parts) return;
      const int64_t begin = n * worker / parts, end = n * (worker + 1) / parts;
      if (begin < end) work(begin, end);
    });
  }

 private:
  using Call = void (*)(void* context, int worker, int workers);
  void dispatch(Call call, void* context);
  void serve(int worker);
  void dismiss();

  std::vector<std::thread> threads_;
  std::atomic<uint32_t> round_{0};    ///< goes up when work is there
  std::atomic<uint32_t> pending_{0};  ///< workers that have not ended the round
  std::atomic<bool> stop_{false}, busy_{false};
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::vector<std::exception_ptr> errors_;
};

/// Processors that this process may use: affinity mask and cgroup quota (rounded up), at least 1.
int usable_processors();

/// The team that kernels run on. It starts with usable_processors() threads, or CLOZE_NUM_THREADS if set.
ThreadTeam& thread_team();

/// Replaces the team; not while work runs. 0 means the default. Errors: kValue outside 0 to 1024.
void set_thread_count(int threads);

}  // namespace cloze
