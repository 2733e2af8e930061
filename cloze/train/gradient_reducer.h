// Data parallel steps: each process runs some of a step's passes, and the gradients are summed over all of them.
//
// The gradients go in buckets, last parameters first, as the backward pass makes them: a bucket is sent as soon as the
// last pass has all of its gradients, and travels while the rest is computed. Which parameters have dense gradients is
// learned in the first step, which therefore sends everything at its end. Tables whose gradients are rows come last,
// and only their rows are exchanged.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "cloze/nn/parameter.h"
#include "cloze/ops/var.h"
#include "cloze/train/communicator.h"

namespace cloze {

class GradientReducer : public GradientListener {
 public:
  /// A bucket is sent once it holds so many values: 2 MiB.
  static constexpr int64_t kBucketValues = int64_t{1} << 19;
  /// More travel as several sums, so that those of one bucket overlap too.
  static constexpr int64_t kPieceValues = int64_t{1} << 20;

  /// Keeps pointers to both.
  GradientReducer(Communicator& communicator, ParameterList parameters, int64_t bucket_values = kBucketValues);

  /// Whether this process runs pass `pass` of a step: pass modulo processes is its rank.
  bool runs(int64_t pass) const { return pass % communicator_.size() == communicator_.rank(); }
  /// Whom the backward pass of `pass`, of `passes` of the step, must tell: null unless it is this process's last.
  GradientListener* listener(int64_t pass, int64_t passes);
  /// Ends a step, on every process, also on one that had no pass: afterwards all have the sums of the gradients, and of
  /// `sums`. With one process it does nothing. Errors: kIo; kInternal where a gradient came after it was final.
  void reduce(std::span<double> sums);

  void on_final(const Var& leaf) override;
  void on_operation() override { communicator_.progress(); }

 private:
  struct Slot {
    size_t parameter;
    int64_t offset;  ///< in the bucket, in values
  };
  struct Bucket {
    std::vector<Slot> slots;
    int64_t values = 0;
    size_t waiting = 0;  ///< slots whose gradient is not final yet, in this step
    Tensor memory;       ///< while it is under way
    std::vector<Communicator::Ticket> tickets;
  };
  /// What all processes together have for a parameter, in this step.
  struct Found {
    double dense = 0;  ///< processes with a dense gradient
    double rows = 0;   ///< rows of row gradients
  };

  const Var& var(size_t parameter) const { return parameters_[parameter]->var; }
  void make_plan();
  void send_up_to(size_t end);
  void send(Bucket& bucket);
  void agree(std::span<double> sums);
  void receive(Bucket& bucket);
  void reduce_late(size_t parameter);
  void exchange_rows(size_t parameter);
  void sum_dense(size_t parameter);

  Communicator& communicator_;
  ParameterList parameters_;
  int64_t bucket_values_;
  bool planned_ = false;
  std::vector<Bucket> buckets_;
  std::vector<size_t> late_;                           ///< parameters that had no dense gradient in the first step
  std::vector<Found> found_;                           ///< of this process until agree(), then of all
  size_t sent_ = 0;                                    ///< buckets under way
  std::unordered_map<const void*, size_t> bucket_of_;  ///< by the leaf's key, while a listener is out
};

}  // namespace cloze
