#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "cloze/base/suggest.h"
#include "cloze/transfer/feature_groups.h"

namespace cloze {
namespace {

const std::string& cell(const TextExample& row, size_t extra, const std::string& column, const std::string& file) {
  CLOZE_CHECK(extra < row.extra.size(), ErrorCode::kUsage,
              "{}: the model reads the column \"{}\" beside the text, and these rows have no columns; give a table",
              file, column);
  return row.extra[extra];
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t"), end = text.find_last_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

/// The number in a cell; nothing where it is missing. Errors: kValue.
std::optional<double> number_in(const TextExample& row, size_t extra, const std::string& column,
                                const std::string& file) {
  const std::string_view text = trimmed(cell(row, extra, column, file));
  const std::string folded = folded_name(text);
  if (folded.empty() || folded == "na" || folded == "nan" || folded == "null" || folded == "?") return std::nullopt;
  double number = 0;
  const char* begin = text.data() + (text.front() == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  CLOZE_CHECK(error == std::errc() && stop == end && std::isfinite(number), ErrorCode::kValue,
              "{} line {}: column \"{}\": \"{}\" is not a number; an empty cell says that it is missing", file,
              row.line, column, text);
  return number;
}

class Numeric : public FeatureGroup {
 public:
  Numeric(double mean, double deviation, bool marks_missing)
      : mean_(mean), deviation_(deviation), marks_missing_(marks_missing) {}
  const char* kind() const override { return "numeric"; }
  int64_t width() const override { return marks_missing_ ? 2 : 1; }
  void fill(std::span<const TextExample> rows, size_t extra, const std::string& file, const Tensor& x,
            int64_t begin) const override {
    float* to = x.data<float>() + begin;
    for (const TextExample& row : rows) {
      const std::optional<double> number = scaled(row, extra, file);
      to[0] = static_cast<float>(number.value_or(0));
      if (marks_missing_) to[1] = number ? 0.0F : 1.0F;
      to += x.shape()[1];
    }
  }
  void check(const TextExample& row, size_t extra, const std::string& file) const override { scaled(row, extra, file); }
  Json to_json() const override {
    return {{"mean", mean_}, {"deviation", deviation_}, {"marks_missing", marks_missing_}};
  }

 private:
  /// Standardised. A classifier computes with floats, and some multiply the number (kNumberGain).
  std::optional<double> scaled(const TextExample& row, size_t extra, const std::string& file) const {
    const std::optional<double> number = number_in(row, extra, column, file);
    if (!number) return number;
    constexpr double kMost = 1e12;
    const double value = (*number - mean_) / deviation_;
    CLOZE_CHECK(
        std::abs(value) <= kMost, ErrorCode::kValue,
        "{} line {}: column \"{}\": {} is {:.1e} standard deviations from the mean that was fitted, which is no "
        "number to judge by",
        file, row.line, column, *number, std::abs(value));
    return value;
  }

  double mean_, deviation_;
  bool marks_missing_;
};

class Category : public FeatureGroup {
 public:
  explicit Category(std::vector<std::string> values) : values_(std::move(values)) {}
  const char* kind() const override { return "category"; }
  int64_t width() const override { return static_cast<int64_t>(values_.size()); }
  void fill(std::span<const TextExample> rows, size_t extra, const std::string& file, const Tensor& x,
            int64_t begin) const override {
    float* to = x.data<float>() + begin;
    for (const TextExample& row : rows) {
      const auto found = std::ranges::find(values_, std::string(trimmed(cell(row, extra, column, file))));
      if (found != values_.end()) to[found - values_.begin()] = 1;
      to += x.shape()[1];
    }
  }
  void check(const TextExample& row, size_t extra, const std::string& file) const override {
    cell(row, extra, column, file);
  }
  Json to_json() const override { return {{"values", values_}}; }

 private:
  std::vector<std::string> values_;
};

}  // namespace

FeatureGroupPtr fit_numeric(const std::string& column, const FeatureRows& rows, size_t extra) {
  std::vector<double> numbers;
  for (const TextExample& row : rows.rows)
    if (const std::optional<double> number = number_in(row, extra, column, rows.file)) numbers.push_back(*number);
  const size_t missing = rows.rows.size() - numbers.size();
  CLOZE_CHECK(!numbers.empty(), ErrorCode::kValue, "{}: column \"{}\" holds no number in any row", rows.file, column);
  double sum = 0, squares = 0;
  for (const double number : numbers) sum += number;
  const double mean = sum / static_cast<double>(numbers.size());
  for (const double number : numbers) squares += (number - mean) * (number - mean);
  double deviation = std::sqrt(squares / static_cast<double>(numbers.size()));
  const bool constant = std::ranges::all_of(numbers, [&](double number) { return number == numbers[0]; });
  CLOZE_CHECK(!constant || missing > 0, ErrorCode::kValue,
              "{}: column \"{}\" is {} in all {} rows, which tells nothing; leave it out", rows.file, column,
              numbers[0], numbers.size());
  CLOZE_CHECK(std::isfinite(deviation) && std::isfinite(mean), ErrorCode::kValue,
              "{}: the numbers of column \"{}\" are too large", rows.file, column);
  if (constant || deviation == 0) deviation = 1;
  auto group = std::make_shared<Numeric>(mean, deviation, missing > 0);
  group->summary =
      fmt::format("numeric {}: mean {:.4g}, deviation {:.4g}{}", column, mean, deviation,
                  missing == 0 ? "" : fmt::format("; missing in {} of {} rows", missing, rows.rows.size()));
  return group;
}

FeatureGroupPtr load_numeric(const Json& json, const std::string& where) {
  const double mean = json_number(json, "mean", where), deviation = json_number(json, "deviation", where);
  CLOZE_CHECK(std::isfinite(mean) && std::isfinite(deviation) && deviation > 0, ErrorCode::kFormat,
              "{}: \"mean\" {} and \"deviation\" {} of numeric features", where, mean, deviation);
  return std::make_shared<Numeric>(mean, deviation, json_bool_or(json, "marks_missing", false, where));
}

FeatureGroupPtr fit_category(const std::string& column, const FeatureRows& rows, size_t extra) {
  std::map<std::string, int64_t> counts;
  for (const TextExample& row : rows.rows) ++counts[std::string(trimmed(cell(row, extra, column, rows.file)))];
  CLOZE_CHECK(counts.size() > 1, ErrorCode::kValue,
              "{}: column \"{}\" is \"{}\" in all {} rows, which tells nothing; leave it out", rows.file, column,
              counts.begin()->first, rows.rows.size());
  std::vector<std::pair<std::string, int64_t>> order(counts.begin(), counts.end());
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.second > b.second; });
  const size_t kept = std::min(order.size(), kMostCategories);
  std::vector<std::string> values;
  for (size_t i = 0; i < kept; ++i) values.push_back(order[i].first);
  auto group = std::make_shared<Category>(values);
  group->summary =
      fmt::format("category {}: {} values{}{}", column, order.size(),
                  kept < order.size() ? fmt::format(", the {} most frequent are kept", kept) : "",
                  counts.contains("") ? fmt::format("; empty in {} of {} rows", counts[""], rows.rows.size()) : "");
  return group;
}

FeatureGroupPtr load_category(const Json& json, const std::string& where) {
  const auto found = json.find("values");
  CLOZE_CHECK(found != json.end() && found->is_array() && found->size() >= 1 && found->size() <= kMostCategories,
              ErrorCode::kFormat, "{}: expected an array of 1 to {} under \"values\"", where, kMostCategories);
  std::vector<std::string> values;
  for (const Json& value : *found) {
    CLOZE_CHECK(value.is_string(), ErrorCode::kFormat, "{}: expected strings under \"values\"", where);
    values.push_back(value.get<std::string>());
  }
  return std::make_shared<Category>(std::move(values));
}

}  // namespace cloze
