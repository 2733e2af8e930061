#include "cloze/transfer/classifier_liblinear.h"

#include <linear.h>

#include <cmath>
#include <limits>

namespace cloze {

struct MarginRows::Nodes {
  std::vector<feature_node> all;
  std::vector<size_t> begin;  ///< of each row in `all`
};

namespace {

/// LIBLINEAR prints to stdout unless told otherwise; the place is one for the whole process.
void keep_liblinear_quiet() {
  static const bool once = (set_print_string_function([](const char*) {}), true);
  static_cast<void>(once);
}

}  // namespace

MarginRows::MarginRows(const Tensor& x, const ColumnScale* scale)
    : dimension_(x.shape()[1]), nodes_(std::make_unique<Nodes>()) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() - 2;
  CLOZE_CHECK(x.shape()[0] <= kMost && dimension_ <= kMost, ErrorCode::kUnsupported,
              "[classifier] vectors {}: LIBLINEAR counts rows and columns in 31 bits", x.shape());
  nodes_->all.reserve(static_cast<size_t>(x.elements() + 2 * x.shape()[0]));
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    nodes_->begin.push_back(nodes_->all.size());
    const std::span<const float> values = row_of(x, row);
    for (size_t j = 0; j < values.size(); ++j) {
      const double raw = static_cast<double>(values[j]);
      const double value = scale == nullptr ? raw : scale->standard(j, raw);
      if (value != 0) nodes_->all.push_back({static_cast<int>(j) + 1, value});
    }
    nodes_->all.push_back({static_cast<int>(dimension_) + 1, 1.0});  // the intercept's feature
    nodes_->all.push_back({-1, 0.0});                                // the end of the row
  }
}

MarginRows::~MarginRows() = default;

double MarginRows::margin(std::span<const double> w_b, size_t index) const {
  double sum = 0;
  for (const feature_node* node = &nodes_->all[nodes_->begin[index]]; node->index > 0; ++node)
    sum += w_b[static_cast<size_t>(node->index) - 1] * node->value;
  return sum;
}

std::vector<double> fit_margin(const MarginRows& x, std::span<const size_t> rows, const std::vector<char>& positive,
                               MarginLoss loss, double c, const SignWeights& weights, double tolerance,
                               std::span<const double> start) {
  keep_liblinear_quiet();
  const size_t columns = static_cast<size_t>(x.dimension()) + 1;
  // LIBLINEAR takes pointers to what it only reads.
  auto& all = const_cast<std::vector<feature_node>&>(x.nodes().all);
  std::vector<double> y, initial(start.begin(), start.end());
  std::vector<feature_node*> pointers;
  for (const size_t row : rows) {
    y.push_back(positive[row] ? 1.0 : -1.0);
    pointers.push_back(&all[x.nodes().begin[row]]);
  }
  problem task{};
  task.l = static_cast<int>(rows.size());
  task.n = static_cast<int>(columns);
  task.y = y.data();
  task.x = pointers.data();
  task.bias = 1;
  parameter settings{};
  settings.solver_type = loss == MarginLoss::kLogistic ? L2R_LR : L2R_L2LOSS_SVC;
  settings.eps = tolerance;
  settings.C = c;
  int signs[] = {1, -1};
  double sign_weights[] = {weights.positive, weights.negative};
  settings.nr_weight = 2;
  settings.weight_label = signs;
  settings.weight = sign_weights;
  // It numbers its two classes by appearance, but takes +1 as the positive one where the labels are -1 and +1; a search
  // from `initial` is then the same too.
  settings.init_sol = initial.empty() ? nullptr : initial.data();
  const char* problem_found = check_parameter(&task, &settings);
  CLOZE_CHECK(problem_found == nullptr, ErrorCode::kInternal, "[classifier] LIBLINEAR: {}", problem_found);
  model* fitted = train(&task, &settings);
  const bool swapped = fitted->label[0] != 1;
  std::vector<double> w_b(fitted->w, fitted->w + columns);
  if (swapped)
    for (double& w : w_b) w = -w;
  free_and_destroy_model(&fitted);
  return w_b;
}

}  // namespace cloze

// The four BLAS functions that LIBLINEAR calls, under BLAS's own names. Its author ships the like for those without a
// BLAS. Here they keep a BLAS's threads, start-up time and choice of instructions out of the program: sums go from the
// first element to the last, in four lanes, on every machine and in every thread. They stand in
// this file because a linker that has taken LIBLINEAR from its archive does not look back for them.
extern "C" {
double ddot_(const int* n, const double* x, const int* step_x, const double* y, const int* step_y);
double dnrm2_(const int* n, const double* x, const int* step);
int daxpy_(const int* n, const double* a, const double* x, const int* step_x, double* y, const int* step_y);
int dscal_(const int* n, const double* a, double* x, const int* step);
}

double ddot_(const int* n, const double* x, const int* step_x, const double* y, const int* step_y) {
  double lanes[4] = {};
  int i = 0;
  if (*step_x == 1 && *step_y == 1)
    for (; i + 4 <= *n; i += 4)
      for (int lane = 0; lane < 4; ++lane) lanes[lane] += x[i + lane] * y[i + lane];
  for (; i < *n; ++i) lanes[0] += x[i * *step_x] * y[i * *step_y];
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

double dnrm2_(const int* n, const double* x, const int* step) {
  return std::sqrt(ddot_(n, x, step, x, step));
}

int daxpy_(const int* n, const double* a, const double* x, const int* step_x, double* y, const int* step_y) {
  for (int i = 0; i < *n; ++i) y[i * *step_y] += *a * x[i * *step_x];
  return 0;
}

int dscal_(const int* n, const double* a, double* x, const int* step) {
  for (int i = 0; i < *n; ++i) x[i * *step] *= *a;
  return 0;
}
