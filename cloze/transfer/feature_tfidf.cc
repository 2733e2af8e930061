#include <unicode/uchar.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "cloze/base/utf8.h"
#include "cloze/data/breaks.h"
#include "cloze/transfer/feature_groups.h"

namespace cloze {
namespace {

constexpr size_t kLongestRun = 3;

/// A row's terms, with repetitions.
class Terms {
 public:
  explicit Terms(bool words) : words_(words) {
    if (words) breaker_.emplace(TextBreaker::Unit::kWord);
  }
  std::vector<std::string> of(const TextExample& row) {
    const std::u32string text = folded_text(row);
    return words_ ? words_of(utf8_of(text)) : runs_of(text);
  }

 private:
  std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> terms;
    std::string before;
    int32_t begin = 0;
    for (const int32_t end : breaker_->borders(text)) {
      const std::string word = text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
      begin = end;
      if (!u_isalnum(static_cast<UChar32>(decode_utf8(word, 0).code_point))) continue;
      terms.push_back(word);
      if (!before.empty()) terms.push_back(before + " " + word);
      before = word;
    }
    return terms;
  }
  static std::vector<std::string> runs_of(const std::u32string& text) {
    std::vector<std::string> terms;
    for (size_t at = 0; at < text.size(); ++at)
      for (size_t length = 1; length <= kLongestRun && at + length <= text.size(); ++length)
        if (length > 1 || text[at] != U' ') terms.push_back(utf8_of(std::u32string_view(text).substr(at, length)));
    return terms;
  }

  bool words_;
  std::optional<TextBreaker> breaker_;
};

class Tfidf : public FeatureGroup {
 public:
  Tfidf(bool words, std::vector<std::string> terms, std::vector<float> idf)
      : words_(words), terms_(std::move(terms)), idf_(std::move(idf)) {
    for (size_t i = 0; i < terms_.size(); ++i) places_.emplace(terms_[i], i);
  }
  const char* kind() const override { return words_ ? "tfidf-words" : "tfidf-chars"; }
  bool fills_square() const override { return true; }
  int64_t width() const override { return static_cast<int64_t>(terms_.size()); }
  void fill(std::span<const TextExample> rows, size_t, const std::string&, const Tensor& x,
            int64_t begin) const override {
    Terms reader(words_);
    float* to = x.data<float>() + begin;
    std::unordered_map<size_t, int64_t> counts;
    for (const TextExample& row : rows) {
      counts.clear();
      for (const std::string& term : reader.of(row))
        if (const auto found = places_.find(term); found != places_.end()) ++counts[found->second];
      // In the order of places, so that the sum has the same bits everywhere.
      std::vector<std::pair<size_t, int64_t>> sorted(counts.begin(), counts.end());
      std::ranges::sort(sorted);
      double squares = 0;
      for (const auto& [place, count] : sorted) {
        const double value = (1 + std::log(static_cast<double>(count))) * static_cast<double>(idf_[place]);
        to[place] = static_cast<float>(value);
        squares += value * value;
      }
      const float factor = squares > 0 ? static_cast<float>(std::sqrt(kGroupSquare / squares)) : 0;
      for (const auto& [place, count] : sorted) to[place] *= factor;
      to += x.shape()[1];
    }
  }
  Json to_json() const override { return {{"terms", terms_}, {"idf", floats_to_json(idf_)}}; }

 private:
  bool words_;
  std::vector<std::string> terms_;
  std::vector<float> idf_;
  std::unordered_map<std::string, size_t> places_;
};

/// In how many rows each term is.
struct Presence {
  std::vector<std::string> terms;
  std::vector<int64_t> rows;
};

Presence count_terms(bool words, std::span<const TextExample> rows) {
  Presence seen;
  Terms reader(words);
  std::unordered_map<std::string, size_t> places;
  for (const TextExample& row : rows) {
    std::vector<size_t> own;
    for (const std::string& term : reader.of(row)) {
      const auto [found, fresh] = places.emplace(term, seen.terms.size());
      if (fresh) {
        seen.terms.push_back(term);
        seen.rows.push_back(0);
      }
      own.push_back(found->second);
    }
    std::ranges::sort(own);
    own.erase(std::unique(own.begin(), own.end()), own.end());
    for (const size_t term : own) ++seen.rows[term];
  }
  return seen;
}

}  // namespace

FeatureGroupPtr fit_tfidf(bool words, int64_t terms, const FeatureRows& rows) {
  const char* kind = words ? "tfidf-words" : "tfidf-chars";
  const Presence seen = count_terms(words, rows.rows);
  std::vector<size_t> order;
  for (size_t term = 0; term < seen.terms.size(); ++term)
    if (seen.rows[term] >= 2) order.push_back(term);
  CLOZE_CHECK(!order.empty(), ErrorCode::kValue, "{}: --features {}: no term is in two rows of the {}", rows.file, kind,
              rows.rows.size());
  // By frequency, not by what they tell about the labels: that would make cross-validation too hopeful.
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return seen.rows[a] != seen.rows[b] ? seen.rows[a] > seen.rows[b] : seen.terms[a] < seen.terms[b];
  });
  const size_t known = order.size();
  order.resize(std::min(order.size(), static_cast<size_t>(terms)));
  std::vector<std::pair<std::string, int64_t>> kept;
  for (const size_t term : order) kept.emplace_back(seen.terms[term], seen.rows[term]);
  std::ranges::sort(kept);
  std::vector<std::string> names;
  std::vector<float> idf;
  const double n = static_cast<double>(rows.rows.size());
  for (const auto& [term, count] : kept) {
    names.push_back(term);
    idf.push_back(static_cast<float>(1 + std::log((1 + n) / (1 + static_cast<double>(count)))));
  }
  auto group = std::make_shared<Tfidf>(words, std::move(names), std::move(idf));
  group->summary = fmt::format("{}: {} terms of {} that are in two rows or more", kind, kept.size(), known);
  return group;
}

FeatureGroupPtr load_tfidf(bool words, const Json& json, const std::string& where) {
  const auto found = json.find("terms");
  const std::vector<float> idf = floats_of(json, "idf", where);
  CLOZE_CHECK(found != json.end() && found->is_array() && found->size() == idf.size() && !idf.empty(),
              ErrorCode::kFormat, "{}: expected as many \"terms\" as \"idf\"", where);
  std::vector<std::string> terms;
  for (const Json& term : *found) {
    CLOZE_CHECK(term.is_string(), ErrorCode::kFormat, "{}: expected strings under \"terms\"", where);
    terms.push_back(term.get<std::string>());
  }
  return std::make_shared<Tfidf>(words, std::move(terms), idf);
}

}  // namespace cloze
