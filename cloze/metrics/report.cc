#include "cloze/metrics/report.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cloze/base/error.h"

namespace cloze {
namespace {

constexpr int kLabelWidth = 32;   ///< longer labels are cut
constexpr int kHeaderWidth = 12;  ///< labels as wide as this still head a column; else columns are numbered

enum class Align { kLeft, kRight };

std::string padded(std::string_view text, int width, Align align) {
  const std::string space(static_cast<size_t>(std::max(0, width - display_width(text))), ' ');
  return align == Align::kLeft ? std::string(text) + space : space + std::string(text);
}

/// Rows of cells as text; the first column to the left, the others to the right, two blanks between.
std::string render(const std::vector<std::vector<std::string>>& rows) {
  std::vector<int> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) text += "  ";
      text += padded(row[i], widths[i], i == 0 ? Align::kLeft : Align::kRight);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string four(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.4f}", value);
}

std::vector<std::string> score_row(std::string name, const Scores& scores, int64_t support) {
  return {std::move(name), four(scores.precision), four(scores.recall), four(scores.f1), fmt::format("{}", support)};
}

void check_labels(const ConfusionMatrix& matrix, std::span<const std::string> labels) {
  CLOZE_CHECK(labels.size() == static_cast<size_t>(matrix.classes()), ErrorCode::kValue,
              "expected {} labels, one a class, found {}", matrix.classes(), labels.size());
}

std::string most_confused(const ConfusionMatrix& matrix, std::span<const std::string> labels, size_t most) {
  const int64_t mistakes = matrix.total() - matrix.correct();
  int64_t left = mistakes;
  std::vector<std::vector<std::string>> rows = {{"truth", "predicted", "rows", "of truth"}};
  for (const auto& [truth, predicted, count] : matrix.confusions(most)) {
    const double share = static_cast<double>(count) / static_cast<double>(matrix.truth_count(truth));
    rows.push_back({fit_width(labels[static_cast<size_t>(truth)], kLabelWidth),
                    fit_width(labels[static_cast<size_t>(predicted)], kLabelWidth), fmt::format("{}", count),
                    fmt::format("{:.1f}%", 100 * share)});
    left -= count;
  }
  std::string text =
      fmt::format("most confused of {} classes ({} mistakes in {} rows)\n", matrix.classes(), mistakes, matrix.total());
  if (mistakes > 0) text += render(rows);
  if (left > 0) text += fmt::format("not listed: {}\n", left);
  return text;
}

}  // namespace

std::string class_table(const ConfusionMatrix& matrix, std::span<const std::string> labels) {
  check_labels(matrix, labels);
  std::vector<std::vector<std::string>> rows = {{"label", "precision", "recall", "f1", "support"}};
  const std::vector<ClassScores> classes = class_scores(matrix);
  for (size_t c = 0; c < classes.size(); ++c) {
    rows.push_back(score_row(fit_width(labels[c], kLabelWidth), classes[c].scores, classes[c].support));
  }
  rows.push_back({});
  rows.push_back({"accuracy", "", "", four(accuracy(matrix)), fmt::format("{}", matrix.total())});
  rows.push_back(score_row("macro average", macro_average(matrix), matrix.total()));
  rows.push_back(score_row("weighted average", weighted_average(matrix), matrix.total()));
  return render(rows);
}

std::string confusion_text(const ConfusionMatrix& matrix, std::span<const std::string> labels, size_t most_pairs) {
  check_labels(matrix, labels);
  if (matrix.classes() > kMostMatrixClasses) return most_confused(matrix, labels, most_pairs);
  const bool named = std::all_of(labels.begin(), labels.end(),
                                 [](const std::string& label) { return display_width(label) <= kHeaderWidth; });
  const auto number = [](int c) { return fmt::format("({})", c + 1); };
  std::vector<std::vector<std::string>> rows = {{"truth \\ predicted"}};
  for (int c = 0; c < matrix.classes(); ++c) {
    rows[0].push_back(named ? fit_width(labels[static_cast<size_t>(c)], kHeaderWidth) : number(c));
  }
  for (int truth = 0; truth < matrix.classes(); ++truth) {
    const std::string label = fit_width(labels[static_cast<size_t>(truth)], kLabelWidth);
    rows.push_back({named ? label : number(truth) + " " + label});
    for (int c = 0; c < matrix.classes(); ++c) rows.back().push_back(fmt::format("{}", matrix.count(truth, c)));
  }
  return render(rows);
}

}  // namespace cloze
