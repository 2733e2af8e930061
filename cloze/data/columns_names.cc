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

constexpr auto kLabelNames = std::to_array<std::string_view>(
    {"label", "category", "class", "intent", "labels", "gold_label", "sentiment", "target", "topic", "emotion",
     "is_duplicate", "score", "similarity", "rating", "stars"});

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
  return kLabelNames;
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
