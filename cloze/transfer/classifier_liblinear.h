// The two-class problems that LIBLINEAR solves (Fan, Chang, Hsieh, Wang and Lin, "LIBLINEAR: A Library for Large Linear
// Classification", JMLR 2008), with margin s = w x + b and y = +1 or -1:
//   logistic        min 1/2 (|w|^2 + b^2) + C sum_i log(1 + exp(-y_i s_i))         its solver 0, L2R_LR
//   squared hinge   min 1/2 (|w|^2 + b^2) + C sum_i max(0, 1 - y_i s_i)^2          its solver 2, L2R_L2LOSS_SVC
// The intercept b is the weight of one more feature that is always 1, so the penalty pulls on it too; so it does in
// scikit-learn's LogisticRegression(solver='liblinear') and LinearSVC with intercept_scaling=1.
//
// Both are primal trust-region Newton methods, which use no random numbers. The dual solvers shuffle with rand(), whose
// state belongs to the whole process: their results would depend on what else runs. Both problems are strictly convex,
// so the primal solvers find what the dual ones do.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cloze/transfer/classifier_rows.h"

namespace cloze {

enum class MarginLoss : uint8_t { kLogistic, kSquaredHinge };

/// What the loss of a row is multiplied by, by its sign; not negative.
struct SignWeights {
  double positive = 1, negative = 1;
};

/// Rows in LIBLINEAR's form: 16 bytes for each number that is not 0.
class MarginRows {
 public:
  /// `scale`, if not null, standardises the columns on the way.
  MarginRows(const Tensor& x, const ColumnScale* scale);
  ~MarginRows();
  MarginRows(const MarginRows&) = delete;
  MarginRows& operator=(const MarginRows&) = delete;

  int64_t dimension() const { return dimension_; }
  /// w x + b of row `index`; w_b is w and then b.
  double margin(std::span<const double> w_b, size_t index) const;

  struct Nodes;
  const Nodes& nodes() const { return *nodes_; }

 private:
  int64_t dimension_;
  std::unique_ptr<Nodes> nodes_;
};

/// w and then b for the rows numbered `rows`, of which those with positive[row] are +1; both signs must occur.
/// `start`, if not empty, is where the search begins: it decides the time, and the result only within `tolerance`, at
/// which share of its first norm the gradient is small enough (times the share of the rarer sign, as in LIBLINEAR).
/// A row i counts C times the weight of its sign.
/// Thread-safe; the same bits for the same arguments.
std::vector<double> fit_margin(const MarginRows& x, std::span<const size_t> rows, const std::vector<char>& positive,
                               MarginLoss loss, double c, const SignWeights& weights, double tolerance,
                               std::span<const double> start);

}  // namespace cloze
