#include "cloze/compress/judge.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/task/class_answers.h"
#include "cloze/task/class_labels.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze {
namespace {

/// Whether the predictor gives each row one class.
bool is_classifier(const Predictor& predictor) {
  try {
    return !predictor.class_labels().empty();
  } catch (const Error&) {
    return false;
  }
}

/// 1 where the most likely class is the row's own.
std::vector<uint8_t> right_of(const Tensor& probabilities, const std::vector<int>& truth) {
  const int64_t C = probabilities.shape()[1];
  std::vector<uint8_t> right;
  for (size_t i = 0; i < truth.size(); ++i) {
    const float* row = probabilities.data<float>() + static_cast<int64_t>(i) * C;
    right.push_back(std::max_element(row, row + C) - row == truth[i] ? 1 : 0);
  }
  return right;
}

}  // namespace

std::pair<std::string, double> Judgement::headline() const {
  const auto accuracy = std::ranges::find(metrics, "accuracy", &std::pair<std::string, double>::first);
  if (accuracy != metrics.end()) return *accuracy;
  const auto first = std::ranges::find_if(metrics, [](const auto& metric) { return metric.first != "loss"; });
  CLOZE_CHECK(first != metrics.end(), ErrorCode::kUnsupported, "the task has no metric to judge a model by");
  return *first;
}

int64_t Judgement::right_count() const {
  return std::accumulate(right.begin(), right.end(), int64_t{0});
}

double Judgement::loss() const {
  const auto found = std::ranges::find(metrics, "loss", &std::pair<std::string, double>::first);
  return found == metrics.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

Judgement judge(const Path& model, const std::string& task, const std::string& file, const ExampleOptions& options,
                int64_t runs) {
  const auto predictor = load_predictor(ModelFiles::open(model), task, {});
  ExampleOptions wanted = options;
  const ColumnOptions needs = predictor->evaluation_columns();
  wanted.columns.label_need = needs.label_need;
  wanted.columns.text_pair_need = needs.text_pair_need;
  wanted.columns.extra = needs.extra;
  const Examples examples = read_all(file, wanted);
  CLOZE_CHECK(!examples.rows.empty(), ErrorCode::kValue, "{}: there are no rows", file);
  Judgement result;
  result.rows = std::ssize(examples.rows);
  result.seconds = std::numeric_limits<double>::infinity();
  const bool classifier = is_classifier(*predictor);
  const std::vector<int> truth =
      classifier ? label_ids(examples.rows, predictor->class_labels(), file) : std::vector<int>();
  for (int64_t run = 0; run < runs; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    if (classifier) {
      const ClassifiedRows found = predictor->classify(examples.rows, file);
      result.metrics = evaluate_classes(found.probabilities, predictor->class_labels(), found.rows, truth).metrics;
      result.right = right_of(found.probabilities, truth);
    } else {
      result.metrics = predictor->evaluate(examples.rows, file).metrics;
    }
    result.seconds =
        std::min(result.seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return result;
}

PairedCounts pair_up(const Judgement& first, const Judgement& second) {
  CLOZE_CHECK(first.right.size() == second.right.size(), ErrorCode::kInternal, "{} rows against {}", first.right.size(),
              second.right.size());
  PairedCounts counts{std::ssize(first.right), 0, 0};
  for (size_t i = 0; i < first.right.size(); ++i) {
    if (first.right[i] > second.right[i]) ++counts.first_only;
    if (first.right[i] < second.right[i]) ++counts.second_only;
  }
  return counts;
}

}  // namespace cloze
