// Processes of a job played by threads of one program.
#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/train/communicator.h"

namespace cloze::test {

/// What the threads share. Each collective call is a meeting: all put down what they have, the last one to come works
/// on it, all take it away. Sums add in the order of ranks.
class ThreadJob {
 public:
  /// Runs `work` once on each of `size` threads. If one throws, the others' calls fail; its exception comes here.
  static void run(int size, const std::function<void(Communicator&)>& work) {
    ThreadJob job(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank)
      threads.emplace_back([&, rank] {
        Member member(job, rank);
        try {
          work(member);
        } catch (...) {
          const std::lock_guard lock(job.mutex_);
          if (!job.error_) job.error_ = std::current_exception();
          job.changed_.notify_all();
        }
      });
    for (std::thread& thread : threads) thread.join();
    if (job.error_) std::rethrow_exception(job.error_);
  }

 private:
  explicit ThreadJob(int size) : size_(size), inputs_(static_cast<size_t>(size)) {}

  /// All inputs, by rank. Checks that all make the same call.
  std::vector<std::vector<std::byte>> meet(int rank, char call, std::span<const std::byte> bytes) {
    std::unique_lock lock(mutex_);
    const int64_t round = round_;
    CLOZE_CHECK(arrived_ == 0 || call == call_, ErrorCode::kInternal, "rank {} calls {}, others {}", rank, call, call_);
    call_ = call;
    inputs_[static_cast<size_t>(rank)].assign(bytes.begin(), bytes.end());
    if (++arrived_ == size_) {
      arrived_ = 0;
      outputs_ = inputs_;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round || error_; });
    if (round_ == round) fail(ErrorCode::kIo, "another rank failed");
    return outputs_;  // nobody can end the next round before this one has left
  }

  class Member : public Communicator {
   public:
    Member(ThreadJob& job, int rank) : job_(job), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return job_.size_; }
    /// Done at wait(), so that a gradient that is read before has the wrong value.
    Ticket sum_start(std::span<float> values) override {
      open_.push_back(values);
      return static_cast<Ticket>(open_.size()) - 1;
    }
    void progress() override {}
    void wait(Ticket ticket) override { add(open_[static_cast<size_t>(ticket)], 'f'); }
    void sum(std::span<double> values) override { add(values, 'd'); }
    void broadcast(std::span<std::byte> bytes, int root) override {
      const auto all = job_.meet(rank_, 'b', bytes);
      CLOZE_CHECK(all[static_cast<size_t>(root)].size() == bytes.size(), ErrorCode::kInternal, "lengths differ");
      std::memcpy(bytes.data(), all[static_cast<size_t>(root)].data(), bytes.size());
    }
    std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes) override {
      return job_.meet(rank_, 'g', bytes);
    }
    void abort(int) override { std::abort(); }

   private:
    template <class T>
    void add(std::span<T> values, char call) {
      const auto all = job_.meet(rank_, call, std::as_bytes(values));
      std::vector<T> sum(values.size()), part(values.size());
      for (const auto& bytes : all) {
        CLOZE_CHECK(bytes.size() == values.size_bytes(), ErrorCode::kInternal, "lengths differ");
        std::memcpy(part.data(), bytes.data(), bytes.size());
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
      }
      std::copy(sum.begin(), sum.end(), values.begin());
    }
    ThreadJob& job_;
    int rank_;
    std::vector<std::span<float>> open_;
  };

  int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t round_ = 0;
  int arrived_ = 0;
  char call_ = ' ';
  std::vector<std::vector<std::byte>> inputs_, outputs_;
  std::exception_ptr error_;
};

}  // namespace cloze::test
