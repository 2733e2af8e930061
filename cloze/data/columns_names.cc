#include "cloze/data/columns_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace cloze {
namespace {

using Couple = std::pair<std::string_view, std::string_view>;

constexpr auto kCouples = std::to_array<Couple>({{"sentence1", "sentence2"},
                                                 {"premise", "hypothesis"},
                                                 {"text_a", "text_b"},
                                                 {"text1", "text2"},
                                                 {"text", "text_pair"},
                                                 {"sentence_a", "sentence_b"},
                                                 {"question1", "question2"},
                                                 {"question", "sentence"},
                                                 {"query", "passage"},
                                                 {"query", "document"},
                                                 {"first", "second"}});

constexpr auto kText = std::to_array<std::string_view>(
    {"sentence", "content",    "text",        "text_a",      "review",   "sentence1", "premise",   "question1",
     "text1",    "sentence_a", "question",    "comment",     "body",     "document",  "utterance", "tweet",
     "message",  "query",      "review_body", "description", "headline", "title",     "input",     "first"});

constexpr auto kTextPair = std::to_array<std::string_view>(
    {"text_b", "sentence2", "hypothesis", "text_pair", "text2", "sentence_b", "question2", "passage", "second"});

constexpr auto kLabel = std::to_array<std::string_view>({"label", "category", "class", "intent", "labels", "gold_label",
                                                         "sentiment", "target", "topic", "emotion", "is_duplicate",
                                                         "score", "similarity", "rating", "stars"});

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Couple> usual_couples() {
  return kCouples;
}
std::span<const std::string_view> usual_text_names() {
  return kText;
}
std::span<const std::string_view> usual_text_pair_names() {
  return kTextPair;
}
std::span<const std::string_view> usual_label_names() {
  return kLabel;
}

std::string folded_name(std::string_view name) {
  const size_t first = name.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  std::string folded(name.substr(first, name.find_last_not_of(" \t\r\n") - first + 1));
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
  constexpr size_t kLongestName = 100;  // a data row taken for a header may hold fields of megabytes
  const std::string wanted = folded_name(word);
  std::string best;
  size_t least = std::min<size_t>(2, wanted.size() / 3) + 1;
  if (wanted.size() > kLongestName) return best;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    const size_t distance = edit_distance(wanted, folded_name(candidate));
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string quoted_list(std::span<const std::string> names) {
  constexpr size_t kMost = 20, kMostBytes = 40;
  if (names.empty()) return "none";
  std::string list;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    std::string_view name = names[i];
    size_t keep = std::min(name.size(), kMostBytes);
    while (keep < name.size() && keep > 0 && (static_cast<unsigned char>(name[keep]) & 0xC0) == 0x80) --keep;
    list += fmt::format("{}\"{}{}\"", i > 0 ? ", " : "", name.substr(0, keep), keep < name.size() ? "…" : "");
  }
  if (names.size() > kMost) list += fmt::format(" and {} more", names.size() - kMost);
  return list;
}

}  // namespace cloze
