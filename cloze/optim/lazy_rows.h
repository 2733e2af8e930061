// AdamW on a table of which a step touches few rows: the others get their steps when they are read.
//
// Without a gradient a row still moves: its moments decay, and with them goes its value. That is left undone until
// somebody reads the row, and then made up step by step with the same operations in the same order. So the bits are
// those of steps over the whole table.
#pragma once

#include <memory>
#include <vector>

#include "cloze/backend/backend.h"
#include "cloze/ops/var.h"

namespace cloze {

class LazyRows : public PendingRows, public std::enable_shared_from_this<LazyRows> {
 public:
  /// More steps than this are never owed: then all rows are settled.
  static constexpr size_t kMostSteps = 1024;

  /// `settings`: m and v of the whole table and the options; the other fields are not read.
  explicit LazyRows(const AdamWArgs& settings);

  /// A step of `table` with its row gradient. The rest of the table becomes pending there.
  void step(const Var& table, const AdamWStep& step);
  void settle(const Tensor& rows) override;
  void settle_all() override;

 private:
  void run(const Tensor& rows, const Tensor& grad) const;

  AdamWArgs settings_;
  Tensor done_;  ///< [N] I32: how many of steps_ each row has had
  std::vector<AdamWStep> steps_;
};

}  // namespace cloze
