// Processor time, and the time that is spent waiting for a processor: what tells a busy machine from a quiet one.
#pragma once

namespace cloze {

/// Seconds that the calling thread has run on a processor. Other programs hardly touch it: a thread that has to wait
/// does not run.
double thread_cpu_seconds();

/// Watches from its construction on whether the threads of this process get the processors that they ask for.
class ProcessorWait {
 public:
  ProcessorWait();

  /// Of the seconds since then in which threads of this process could have run, the share in which they waited for
  /// others to leave a processor, 0 to 1. Threads that have ended meanwhile are not counted, nor is what the host of a
  /// virtual machine takes. 0 where the system does not tell (/proc/self/task/*/schedstat).
  double share() const;

  /// Whether the share is so large that times of passes say little.
  bool busy() const { return share() > kBusyShare; }

 private:
  static constexpr double kBusyShare = 0.05;
  double ran_, waited_;
};

}  // namespace cloze
