#include "cloze/base/thread_team.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <system_error>

#include "cloze/base/error.h"

namespace cloze {
namespace {

thread_local bool inside_team = false;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Long enough to bridge the gap between two kernels, short enough not to disturb others.
constexpr int kSpins = 4000;
/// Where other work fills the processors, the one who is waited for may be queued behind the one who waits: so every
/// so often the processor is offered. About 1.5 microseconds: a hand-off between two free processors takes less.
constexpr int kSpinsPerYield = 64;

/// Offers the processor. True where somebody else ran on it meanwhile: the machine is busy, and who goes on offering
/// gives away a slice each time, while the thread that is waited for may sit on a queue that only a processor left idle
/// comes to serve.
bool yield_took_long() {
  constexpr auto kLong = std::chrono::microseconds(100);
  const auto begin = std::chrono::steady_clock::now();
  sched_yield();
  return std::chrono::steady_clock::now() - begin > kLong;
}

/// Waits until `word` differs from `old`.
void wait_change(const std::atomic<uint32_t>& word, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    if (i % kSpinsPerYield == kSpinsPerYield - 1) {
      if (yield_took_long()) break;
    } else {
      pause();
    }
  }
  word.wait(old, std::memory_order_acquire);
}

/// Processors by the cgroup's quota, or 0 where there is none (version 2, then version 1).
int cgroup_processors() {
  double quota = 0, period = 0;
  std::string first;
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file >> first >> period && first != "max") {
    quota = std::atof(first.c_str());
  } else {
    std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(quota_file >> quota && period_file >> period)) return 0;
  }
  return quota > 0 && period > 0 ? std::max(1, static_cast<int>(std::ceil(quota / period))) : 0;
}

/// Threads that the environment asks for, 0 where it does not.
int asked_threads() {
  const char* text = std::getenv("CLOZE_NUM_THREADS");
  if (text == nullptr) return 0;
  const std::string value = text;
  int threads = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), threads);
  CLOZE_CHECK(error == std::errc() && end == value.data() + value.size() && threads >= 0 && threads <= 1024,
              ErrorCode::kValue, "CLOZE_NUM_THREADS must be 0 (all) to 1024, found \"{}\"", value);
  return threads;
}

/// The team, made at the first use (which static initialisation keeps to one thread).
std::unique_ptr<ThreadTeam>& team_slot() {
  static auto slot = [] {
    const int threads = asked_threads();
    return std::make_unique<ThreadTeam>(threads == 0 ? usable_processors() : threads);
  }();
  return slot;
}

}  // namespace

int usable_processors() {
  cpu_set_t set;
  int count = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  const int quota = cgroup_processors();
  if (quota > 0) count = std::min(count, quota);
  return std::max(1, count);
}

ThreadTeam::ThreadTeam(int threads) {
  CLOZE_CHECK(threads >= 1, ErrorCode::kValue, "a thread team needs at least one thread, asked for {}", threads);
  errors_.resize(static_cast<size_t>(threads));
  threads_.reserve(static_cast<size_t>(threads));
  try {
    for (int worker = 1; worker < threads; ++worker) threads_.emplace_back([this, worker] { serve(worker); });
  } catch (const std::system_error& error) {
    dismiss();
    fail(ErrorCode::kIo, "cannot start {} threads: {}", threads, error.what());
  }
}

ThreadTeam::~ThreadTeam() {
  dismiss();
}

void ThreadTeam::dismiss() {
  stop_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::serve(int worker) {
  inside_team = true;
  uint32_t seen = 0;
  while (true) {
    wait_change(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    try {
      call_(context_, worker, size());
    } catch (...) {
      errors_[static_cast<size_t>(worker)] = std::current_exception();
    }
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

void ThreadTeam::dispatch(Call call, void* context) {
  // A second caller (another request's thread) does not wait for the team: it does its work alone.
  if (threads_.empty() || inside_team || busy_.exchange(true, std::memory_order_acquire)) {
    std::exception_ptr first_error;
    for (int worker = 0; worker < size(); ++worker) {
      try {
        call(context, worker, size());
      } catch (...) {
        if (!first_error) first_error = std::current_exception();
      }
    }
    if (first_error) std::rethrow_exception(first_error);
    return;
  }
  call_ = call;
  context_ = context;
  pending_.store(static_cast<uint32_t>(threads_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  inside_team = true;
  try {
    call(context, 0, size());
  } catch (...) {
    errors_[0] = std::current_exception();
  }
  inside_team = false;
  for (uint32_t left; (left = pending_.load(std::memory_order_acquire)) != 0;) wait_change(pending_, left);
  std::exception_ptr error;
  for (std::exception_ptr& one : errors_) {
    if (one && !error) error = one;
    one = nullptr;
  }
  busy_.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
}

void set_thread_count(int threads) {
  CLOZE_CHECK(threads >= 0 && threads <= 1024, ErrorCode::kValue, "threads must be 0 (all) to 1024, found {}", threads);
  const int wanted = threads == 0 ? usable_processors() : threads;
  if (team_slot()->size() == wanted) return;
  team_slot() = std::make_unique<ThreadTeam>(wanted);
}

ThreadTeam& thread_team() {
  return *team_slot();
}

}  // namespace cloze
