#include "cloze/transfer/classifier_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/rng.h"

namespace cloze {
namespace {

void check_weights(const LabelledVectors& data) {
  CLOZE_CHECK(data.weights.empty() || data.weights.size() == data.labels.size(), ErrorCode::kShape,
              "[classifier] {} rows, but {} row weights", data.labels.size(), data.weights.size());
  for (size_t row = 0; row < data.weights.size(); ++row)
    CLOZE_CHECK(std::isfinite(data.weights[row]) && data.weights[row] >= 0, ErrorCode::kValue,
                "[classifier] row {} weighs {}: weights must be finite and not negative", row, data.weights[row]);
}

/// Each class must have rows, and rows that count.
void check_classes(const LabelledVectors& data) {
  std::vector<int64_t> rows(static_cast<size_t>(data.classes));
  std::vector<double> weight(rows.size());
  for (size_t row = 0; row < data.labels.size(); ++row) {
    const int label = data.labels[row];
    CLOZE_CHECK(label >= 0 && label < data.classes, ErrorCode::kValue,
                "[classifier] row {} has label {}, expected 0 to {}", row, label, data.classes - 1);
    ++rows[static_cast<size_t>(label)];
    weight[static_cast<size_t>(label)] += data.weights.empty() ? 1.0 : static_cast<double>(data.weights[row]);
  }
  for (int c = 0; c < data.classes; ++c) {
    CLOZE_CHECK(rows[static_cast<size_t>(c)] > 0, ErrorCode::kValue,
                "[classifier] {} (of {} classes) has no rows: give at least one, or leave the class out",
                class_name(data, c), data.classes);
    CLOZE_CHECK(weight[static_cast<size_t>(c)] > 0, ErrorCode::kValue, "[classifier] all rows of {} weigh 0",
                class_name(data, c));
  }
}

/// Mean log loss of softmax(a scores), and its derivative by a.
struct ScaleLoss {
  double value = 0, slope = 0;
};
ScaleLoss scale_loss(std::span<const double> scores, std::span<const int> labels, size_t C, double a) {
  ScaleLoss loss;
  for (size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] < 0) continue;
    const std::span<const double> s = scores.subspan(row * C, C);
    const double top = *std::ranges::max_element(s), own = s[static_cast<size_t>(labels[row])];
    double sum = 0, moment = 0;
    for (const double score : s) {
      const double p = std::exp(a * (score - top));
      sum += p;
      moment += p * score;
    }
    loss.value += std::log(sum) + a * (top - own);
    loss.slope += moment / sum - own;
  }
  return loss;
}

}  // namespace

std::string class_name(const LabelledVectors& data, int number) {
  const size_t at = static_cast<size_t>(number);
  return at < data.names.size() ? fmt::format("class \"{}\"", data.names[at]) : fmt::format("class {}", number);
}

void check_labelled(const LabelledVectors& data) {
  CLOZE_CHECK(data.x.defined() && data.x.dtype() == DType::kF32 && data.x.shape().rank() == 2 && data.x.shape()[1] > 0,
              ErrorCode::kShape, "[classifier] the vectors must be F32 of shape [rows, numbers], got {}",
              data.x.defined() ? data.x.shape().to_string() : "nothing");
  CLOZE_CHECK(data.x.shape()[0] == static_cast<int64_t>(data.labels.size()), ErrorCode::kShape,
              "[classifier] vectors {} of {} labels: there must be one label a row", data.x.shape(),
              data.labels.size());
  CLOZE_CHECK(data.classes >= 2, ErrorCode::kValue,
              "[classifier] {} class(es): at least two are needed, or there is nothing to tell apart", data.classes);
  CLOZE_CHECK(data.names.empty() || data.names.size() == static_cast<size_t>(data.classes), ErrorCode::kShape,
              "[classifier] {} classes, but {} names", data.classes, data.names.size());
  CLOZE_CHECK(data.x.shape()[0] > 0, ErrorCode::kValue, "[classifier] there are no rows to learn from");
  check_weights(data);
  check_classes(data);
  const std::span<const float> values = data.x.values<float>();
  const size_t d = static_cast<size_t>(data.x.shape()[1]);
  for (size_t i = 0; i < values.size(); ++i)
    CLOZE_CHECK(std::isfinite(values[i]), ErrorCode::kValue,
                "[classifier] row {} has {} in column {}: features must be finite", i / d, values[i], i % d);
}

std::span<const float> row_of(const Tensor& x, int64_t index) {
  const size_t d = static_cast<size_t>(x.shape()[1]);
  return x.values<float>().subspan(static_cast<size_t>(index) * d, d);
}

double squared_norm(std::span<const float> row) {
  double sum = 0;
  for (const float value : row) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

Tensor unit_rows(const Tensor& x) {
  const Tensor result(x.shape(), DType::kF32);
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    const std::span<const float> from = row_of(x, row);
    const double norm = std::sqrt(squared_norm(from));
    float* to = result.data<float>() + row * x.shape()[1];
    for (size_t j = 0; j < from.size(); ++j)
      to[j] = norm > 0 ? static_cast<float>(static_cast<double>(from[j]) / norm) : 0.0F;
  }
  return result;
}

ColumnScale column_scale(const Tensor& x) {
  constexpr double kRounding = 1e-6;
  const size_t d = static_cast<size_t>(x.shape()[1]);
  const double n = static_cast<double>(x.shape()[0]);
  ColumnScale scale{std::vector<double>(d), std::vector<double>(d), 0};
  std::vector<double> largest(d);
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    const std::span<const float> values = row_of(x, row);
    for (size_t j = 0; j < d; ++j) {
      scale.mean[j] += static_cast<double>(values[j]) / n;
      largest[j] = std::max(largest[j], std::abs(static_cast<double>(values[j])));
    }
  }
  for (int64_t row = 0; row < x.shape()[0]; ++row) {
    const std::span<const float> values = row_of(x, row);
    for (size_t j = 0; j < d; ++j) {
      const double off = static_cast<double>(values[j]) - scale.mean[j];
      scale.deviation[j] += off * off / n;
    }
  }
  for (size_t j = 0; j < d; ++j) {
    scale.deviation[j] = std::sqrt(scale.deviation[j]);
    if (scale.deviation[j] > kRounding * largest[j]) continue;
    scale.deviation[j] = 0;
    ++scale.constant;
  }
  return scale;
}

namespace {

/// The rows `among` by class, each class in random order.
std::vector<std::vector<size_t>> shuffled_by_class(const LabelledVectors& data, std::span<const size_t> among,
                                                   uint64_t seed) {
  constexpr uint32_t kFirstSubstream = 0x40000000;  // far from the epochs that order rows in training
  std::vector<std::vector<size_t>> rows(static_cast<size_t>(data.classes));
  for (const size_t row : among) rows[static_cast<size_t>(data.labels[row])].push_back(row);
  for (size_t c = 0; c < rows.size(); ++c) {
    Rng rng(seed, RandomStream::kShuffle, kFirstSubstream + static_cast<uint32_t>(c));
    for (size_t i = rows[c].size(); i > 1; --i) std::swap(rows[c][i - 1], rows[c][rng.below(i)]);
  }
  return rows;
}

}  // namespace

std::vector<int> stratified_folds(const LabelledVectors& data, std::span<const size_t> among, int64_t folds,
                                  uint64_t seed) {
  CLOZE_CHECK(folds >= 2, ErrorCode::kUsage, "[classifier] {} folds: cross-validation needs at least 2", folds);
  const std::vector<std::vector<size_t>> rows = shuffled_by_class(data, among, seed);
  std::vector<int> of_row(data.labels.size());
  int64_t next = 0;
  for (size_t c = 0; c < rows.size(); ++c) {
    CLOZE_CHECK(
        static_cast<int64_t>(rows[c].size()) >= folds, ErrorCode::kValue,
        "[classifier] {} has {} row(s), fewer than the {} folds of the cross-validation: ask for fewer --folds, "
        "or give --c, which needs none",
        class_name(data, static_cast<int>(c)), rows[c].size(), folds);
    for (const size_t row : rows[c]) of_row[row] = static_cast<int>(next++ % folds);
  }
  std::vector<int> result;
  for (const size_t row : among) result.push_back(of_row[row]);
  return result;
}

std::vector<size_t> stratified_sample(const LabelledVectors& data, size_t most, size_t least, uint64_t seed) {
  std::vector<size_t> all(data.labels.size());
  std::iota(all.begin(), all.end(), size_t{0});
  if (all.size() <= most) return all;
  std::vector<size_t> sample;
  for (const std::vector<size_t>& rows : shuffled_by_class(data, all, seed)) {
    const size_t share = std::max<size_t>(rows.size() * most / all.size(), least);
    sample.insert(sample.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(std::min(share, rows.size())));
  }
  std::ranges::sort(sample);
  return sample;
}

double fit_score_scale(std::span<const double> scores, std::span<const int> labels, int classes) {
  if (std::ranges::none_of(labels, [](int label) { return label >= 0; })) return 1;
  // The loss is convex in a, so its slope changes sign once: bisection of log a.
  const size_t C = static_cast<size_t>(classes);
  double low = std::log(0.01), high = std::log(100.0);
  if (scale_loss(scores, labels, C, std::exp(low)).slope >= 0) return std::exp(low);
  if (scale_loss(scores, labels, C, std::exp(high)).slope <= 0) return std::exp(high);
  for (int step = 0; step < 50; ++step) {
    const double middle = 0.5 * (low + high);
    (scale_loss(scores, labels, C, std::exp(middle)).slope < 0 ? low : high) = middle;
  }
  return std::exp(0.5 * (low + high));
}

Tensor softmax_rows(const Tensor& scores, double scale) {
  const int64_t C = scores.shape()[1];
  const Tensor result(scores.shape(), DType::kF32);
  std::vector<double> p(static_cast<size_t>(C));
  for (int64_t row = 0; row < scores.shape()[0]; ++row) {
    const std::span<const float> s = row_of(scores, row);
    const double top = static_cast<double>(*std::ranges::max_element(s));
    double sum = 0;
    for (size_t c = 0; c < s.size(); ++c) sum += p[c] = std::exp(scale * (static_cast<double>(s[c]) - top));
    for (size_t c = 0; c < s.size(); ++c)
      result.data<float>()[row * C + static_cast<int64_t>(c)] = static_cast<float>(p[c] / sum);
  }
  return result;
}

}  // namespace cloze
