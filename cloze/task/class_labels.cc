#include "cloze/task/class_labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/base/suggest.h"
#include "cloze/task/batches.h"

namespace cloze {
namespace {

template <class Number>
bool parse_whole(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// "name=2,other=0.5"
Json parse_pairs(const std::string& choice) {
  Json pairs = Json::object();
  for (size_t begin = 0; begin <= choice.size();) {
    const size_t end = std::min(choice.find(',', begin), choice.size());
    const std::string_view pair = std::string_view(choice).substr(begin, end - begin);
    const size_t equals = pair.rfind('=');
    double weight = 0;
    CLOZE_CHECK(equals != std::string_view::npos && parse_whole(pair.substr(equals + 1), weight), ErrorCode::kUsage,
                "--class-weights must be none, balanced, NAME=WEIGHT,… or a JSON object, got \"{}\"", choice);
    pairs[std::string(pair.substr(0, equals))] = weight;
    begin = end + 1;
  }
  return pairs;
}

}  // namespace

std::vector<std::string> collect_labels(std::span<const TextExample> rows, const std::string& file) {
  std::set<std::string> names;
  for (const TextExample& row : rows) names.insert(row.label.value_or(""));
  std::vector<std::string> labels(names.begin(), names.end());
  CLOZE_CHECK(
      labels.size() >= 2, ErrorCode::kValue, "{}: {}; a classifier needs at least two labels", file,
      labels.empty() ? "there are no rows" : fmt::format("all {} rows have the label \"{}\"", rows.size(), labels[0]));
  int64_t ignored = 0;
  if (std::ranges::all_of(labels, [&](const std::string& label) { return parse_whole(label, ignored); }))
    std::ranges::sort(labels, {}, [&](const std::string& label) {
      int64_t value = 0;
      parse_whole(label, value);
      return value;
    });
  return labels;
}

std::vector<int> label_ids(std::span<const TextExample> rows, const std::vector<std::string>& labels,
                           const std::string& file) {
  std::map<std::string, int> ids;
  for (size_t i = 0; i < labels.size(); ++i) ids[labels[i]] = static_cast<int>(i);
  std::vector<int> result;
  const TextExample* stranger = nullptr;
  std::set<std::string> strangers, seen;
  for (const TextExample& row : rows) {
    CLOZE_CHECK(row.label.has_value(), ErrorCode::kFormat, "{} line {}: the row has no label", file, row.line);
    seen.insert(*row.label);
    const auto found = ids.find(*row.label);
    result.push_back(found == ids.end() ? -1 : found->second);
    if (found != ids.end()) continue;
    strangers.insert(*row.label);
    if (stranger == nullptr) stranger = &row;
  }
  if (stranger == nullptr) return result;
  const std::vector<std::string> unknown(strangers.begin(), strangers.end()), all(seen.begin(), seen.end());
  fail(ErrorCode::kValue,
       "{} line {}: the label \"{}\" is not one of the model's; labels are matched by name\n  labels of the data:  {}\n"
       "  labels of the model: {}\n  in the data only:    {}",
       file, stranger->line, *stranger->label, shorten_list(all), shorten_list(labels), shorten_list(unknown));
}

std::vector<float> class_weights(const std::string& choice, const std::vector<std::string>& labels,
                                 std::span<const int> ids) {
  if (choice.empty() || choice == "none") return {};
  std::vector<float> weights(labels.size(), 1.0f);
  if (choice == "balanced") {
    std::vector<int64_t> counts(labels.size(), 0);
    for (const int id : ids) ++counts[static_cast<size_t>(id)];
    for (size_t c = 0; c < labels.size(); ++c)
      if (counts[c] > 0)
        weights[c] = static_cast<float>(static_cast<double>(ids.size()) /
                                        (static_cast<double>(labels.size()) * static_cast<double>(counts[c])));
    return weights;
  }
  const Json given = choice.starts_with('{') ? parse_json(choice, "--class-weights") : parse_pairs(choice);
  for (const auto& [name, weight] : given.items()) {
    const auto found = std::ranges::find(labels, name);
    if (found == labels.end())
      fail(ErrorCode::kUsage, "--class-weights: there is no label \"{}\"{}; there are {}", name,
           did_you_mean(name, labels), shorten_list(labels));
    const double value = weight.is_number() ? weight.get<double>() : -1;
    CLOZE_CHECK(std::isfinite(value) && value >= 0, ErrorCode::kUsage,
                "--class-weights: the weight of \"{}\" must be a number of at least 0, got {}", name, weight.dump());
    weights[static_cast<size_t>(found - labels.begin())] = static_cast<float>(value);
  }
  CLOZE_CHECK(std::ranges::any_of(weights, [](float w) { return w > 0; }), ErrorCode::kUsage,
              "--class-weights: all weights are 0, nothing would be learned");
  return weights;
}

}  // namespace cloze
