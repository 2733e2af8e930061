#include <unicode/uchar.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"
#include "cloze/text/normalizer.h"
#include "cloze/transfer/feature_groups.h"

namespace cloze {

std::string utf8_of(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

namespace {

std::u32string folded(std::string_view text) {
  std::vector<NormalizedChar> chars;
  int64_t replaced = 0;
  if (!decode_text(text, 0, 0, chars)) {
    chars.clear();
    decode_text(replace_invalid_utf8(text, replaced), 0, 0, chars);
  }
  clean_text(chars);
  lowercase(chars);
  std::u32string out;
  for (const NormalizedChar& c : chars)
    if (c.code_point != U' ' || (!out.empty() && out.back() != U' ')) out += c.code_point;
  if (!out.empty() && out.back() == U' ') out.pop_back();
  return out;
}

bool of_letters(char32_t c) {
  return u_isalnum(static_cast<UChar32>(c)) && !is_chinese_char(c);
}

/// Runs of letters and digits, and Chinese characters: how long a text is.
int64_t count_words(std::u32string_view text) {
  int64_t words = 0;
  for (size_t i = 0; i < text.size(); ++i)
    words += is_chinese_char(text[i]) || (of_letters(text[i]) && (i == 0 || !of_letters(text[i - 1])));
  return words;
}

class Lexicon : public FeatureGroup {
 public:
  Lexicon(std::unordered_map<std::u32string, double> weights, std::vector<float> mean, std::vector<float> scale)
      : weights_(std::move(weights)), mean_(std::move(mean)), scale_(std::move(scale)) {
    for (const auto& [word, weight] : weights_) longest_ = std::max(longest_, word.size());
  }
  const char* kind() const override { return "lexicon"; }
  int64_t width() const override { return 2; }

  /// The two sums, not scaled; returns how many rows hold an entry.
  int64_t sums(std::span<const TextExample> rows, const Tensor& x, int64_t begin) const {
    int64_t hit = 0;
    float* to = x.data<float>() + begin;
    for (const TextExample& row : rows) {
      const std::u32string text = folded_text(row);
      double sum[2] = {0, 0};
      int64_t matches = 0;
      for (size_t at = 0; at < text.size();) {
        const auto [length, weight] = longest_at(text, at);
        matches += length > 0;
        sum[weight < 0] += weight;
        at += std::max<size_t>(length, 1);
      }
      const double words = std::sqrt(static_cast<double>(std::max<int64_t>(1, count_words(text))));
      for (int i = 0; i < 2; ++i) to[i] = static_cast<float>(sum[i] / words);
      hit += matches > 0;
      to += x.shape()[1];
    }
    return hit;
  }
  void fill(std::span<const TextExample> rows, size_t, const std::string&, const Tensor& x,
            int64_t begin) const override {
    sums(rows, x, begin);
    apply_scale(x, begin, mean_, scale_, 1);
  }
  void fit_scale(const Tensor& x) { column_scale(x, 0, 2, mean_, scale_); }

  Json to_json() const override {
    std::vector<std::pair<std::string, double>> sorted;
    for (const auto& [word, weight] : weights_) sorted.emplace_back(utf8_of(word), weight);
    std::ranges::sort(sorted);
    // Two lists, not an object: an ordered one takes the square of its size to be read.
    Json words = Json::array(), weights = Json::array();
    for (const auto& [word, weight] : sorted) words.push_back(word), weights.push_back(weight);
    return {{"mean", floats_to_json(mean_)}, {"scale", floats_to_json(scale_)}, {"words", words}, {"weights", weights}};
  }

 private:
  std::pair<size_t, double> longest_at(const std::u32string& text, size_t at) const {
    if (at > 0 && of_letters(text[at]) && of_letters(text[at - 1])) return {0, 0};
    for (size_t length = std::min(longest_, text.size() - at); length > 0; --length) {
      const size_t end = at + length;
      if (end < text.size() && of_letters(text[end]) && of_letters(text[end - 1])) continue;
      if (const auto found = weights_.find(text.substr(at, length)); found != weights_.end())
        return {length, found->second};
    }
    return {0, 0};
  }

  std::unordered_map<std::u32string, double> weights_;
  size_t longest_ = 0;
  std::vector<float> mean_, scale_;
};

double weight_of(std::string_view text, const Path& file, int64_t line) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double weight = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  CLOZE_CHECK(error == std::errc() && stop == text.data() + text.size() && std::isfinite(weight), ErrorCode::kFormat,
              "{} line {}: expected a word, a tab and a weight, found the weight \"{}\"", file.string(), line, text);
  return weight;
}

std::unordered_map<std::u32string, double> read_lexicon(const Path& file) {
  std::string text = read_file(file, size_t{1} << 28);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::unordered_map<std::u32string, double> weights;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view row(text.data() + begin, end - begin);
    begin = end + 1;
    ++line;
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (row.empty() || row.starts_with('#')) continue;
    CLOZE_CHECK(find_invalid_utf8(row) == std::string_view::npos, ErrorCode::kFormat,
                "{} line {}: byte {} is not UTF-8; convert the list, as with iconv -f GB18030 -t UTF-8", file.string(),
                line, find_invalid_utf8(row) + 1);
    const size_t tab = row.find('\t');
    CLOZE_CHECK(tab != std::string_view::npos, ErrorCode::kFormat,
                "{} line {}: expected a word, a tab and a weight, found \"{}\"", file.string(), line, row);
    const std::u32string word = folded(row.substr(0, tab));
    CLOZE_CHECK(!word.empty(), ErrorCode::kFormat, "{} line {}: the word is empty", file.string(), line);
    weights[word] = weight_of(row.substr(tab + 1), file, line);
  }
  CLOZE_CHECK(!weights.empty(), ErrorCode::kValue, "{}: there are no words", file.string());
  return weights;
}

}  // namespace

std::u32string folded_text(const TextExample& row) {
  std::u32string text = folded(row.text);
  if (row.text_pair) text += U' ' + folded(*row.text_pair);
  return text;
}

FeatureGroupPtr fit_lexicon(const Path& file, const FeatureRows& rows) {
  auto group = std::make_shared<Lexicon>(read_lexicon(file), std::vector<float>(2), std::vector<float>(2));
  const Tensor x = Tensor::zeros({static_cast<int64_t>(rows.rows.size()), 2}, DType::kF32);
  const int64_t hit = group->sums(rows.rows, x, 0);
  CLOZE_CHECK(hit > 0, ErrorCode::kValue, "{}: none of its words is in any of the {} rows of {}", file.string(),
              rows.rows.size(), rows.file);
  group->fit_scale(x);
  group->summary = fmt::format("lexicon {}: words in {} of {} rows", file.string(), hit, rows.rows.size());
  return group;
}

FeatureGroupPtr load_lexicon(const Json& json, const std::string& where) {
  const std::vector<float> mean = floats_of(json, "mean", where), scale = floats_of(json, "scale", where);
  const auto words = json.find("words"), numbers = json.find("weights");
  std::unordered_map<std::u32string, double> weights;
  if (words != json.end() && words->is_object() && mean.size() == 2 &&
      scale.size() == 2) {  // before there were two lists
    for (const auto& [word, weight] : words->items()) {
      CLOZE_CHECK(weight.is_number() && std::isfinite(weight.get<double>()), ErrorCode::kFormat,
                  "{}: the weight of \"{}\" must be a finite number", where, word);
      weights[folded(word)] = weight.get<double>();
    }
    return std::make_shared<Lexicon>(std::move(weights), mean, scale);
  }
  CLOZE_CHECK(mean.size() == 2 && scale.size() == 2 && words != json.end() && words->is_array() &&
                  numbers != json.end() && numbers->is_array() && numbers->size() == words->size(),
              ErrorCode::kFormat, "{}: a lexicon has two means, two scales, words and as many weights", where);
  for (size_t i = 0; i < words->size(); ++i) {
    const Json &word = (*words)[i], &weight = (*numbers)[i];
    CLOZE_CHECK(word.is_string() && weight.is_number() && std::isfinite(weight.get<double>()), ErrorCode::kFormat,
                "{}: word {} of a lexicon must be a text with a finite number", where, i + 1);
    weights[folded(word.get<std::string>())] = weight.get<double>();
  }
  return std::make_shared<Lexicon>(std::move(weights), mean, scale);
}

}  // namespace cloze
