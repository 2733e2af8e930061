// The processes that train one model together. One process without MPI is rank 0 of 1, and nothing of this costs it
// anything.
//
// Every call but rank() and size() is collective: all processes make the same calls in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cloze {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// A sum that was started.
  using Ticket = int64_t;
  /// Starts the sum over all processes of each element, in place; all get the same bits. The memory must not be touched
  /// before wait(). Errors: kIo, as of all calls below.
  virtual Ticket sum_start(std::span<float> values) = 0;
  /// Lets sums that were started move on. Cheap; not collective.
  virtual void progress() = 0;
  virtual void wait(Ticket ticket) = 0;

  /// The sum over all processes of each element, in place.
  virtual void sum(std::span<double> values) = 0;
  /// All get what `root` has.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  /// What each process gave, by rank; lengths may differ. Less than 2 GiB together.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes) = 0;

  /// Ends all processes of the job at once, with `exit_code` where the launcher hands it on. Not collective. For
  /// programs; the library itself throws.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

/// One process: rank 0 of 1.
Communicator& alone();

/// Threads for each process of a job so that processes on one machine share its processors: what the affinity mask and
/// the cgroup quota leave, divided by those who share it; at least 1. Collective.
int fair_threads(Communicator& communicator);

}  // namespace cloze
