#include "cloze/metrics/multilabel.h"

#include <algorithm>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/metrics/nan.h"

namespace cloze {
namespace {

double f1(int64_t hits, int64_t predicted, int64_t truth) {
  return predicted + truth == 0 ? 0.0 : 2.0 * static_cast<double>(hits) / static_cast<double>(predicted + truth);
}

void check_flags(std::span<const uint8_t> flags) {
  for (const uint8_t flag : flags) {
    CLOZE_CHECK(flag <= 1, ErrorCode::kValue, "expected label flags of 0 or 1, found {}", flag);
  }
}

}  // namespace

MultilabelScores multilabel_scores(std::span<const uint8_t> predicted, std::span<const uint8_t> truth, int classes) {
  CLOZE_CHECK(classes >= 1 && predicted.size() == truth.size() && truth.size() % static_cast<size_t>(classes) == 0,
              ErrorCode::kValue, "expected the same number of rows of {} label flags, found {} and {} flags", classes,
              predicted.size(), truth.size());
  check_flags(predicted);
  check_flags(truth);
  if (truth.empty()) return {kNaN, kNaN, kNaN, kNaN};

  const size_t width = static_cast<size_t>(classes), rows = truth.size() / width;
  std::vector<int64_t> hits(width), predicted_count(width), truth_count(width);
  int64_t whole_rows = 0, wrong_flags = 0;
  for (size_t row = 0; row < rows; ++row) {
    int64_t wrong = 0;
    for (size_t c = 0; c < width; ++c) {
      const uint8_t p = predicted[row * width + c], t = truth[row * width + c];
      hits[c] += p & t;
      predicted_count[c] += p;
      truth_count[c] += t;
      wrong += p ^ t;
    }
    wrong_flags += wrong;
    whole_rows += wrong == 0 ? 1 : 0;
  }
  int64_t all_hits = 0, all_predicted = 0, all_truth = 0;
  double f1_sum = 0;
  for (size_t c = 0; c < width; ++c) {
    all_hits += hits[c];
    all_predicted += predicted_count[c];
    all_truth += truth_count[c];
    f1_sum += f1(hits[c], predicted_count[c], truth_count[c]);
  }
  return {.micro_f1 = f1(all_hits, all_predicted, all_truth),
          .macro_f1 = f1_sum / classes,
          .exact_match = static_cast<double>(whole_rows) / static_cast<double>(rows),
          .hamming_loss = static_cast<double>(wrong_flags) / static_cast<double>(truth.size())};
}

}  // namespace cloze
