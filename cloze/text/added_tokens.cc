#include "cloze/text/added_tokens.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"

namespace cloze {
namespace {

/// Where the code point that ends at `end` (> 0) begins.
size_t previous_begin(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

bool word_character_before(std::string_view text, size_t at) {
  return at > 0 && is_word_character(decode_utf8(text, previous_begin(text, at)).code_point);
}

bool word_character_after(std::string_view text, size_t at) {
  return at < text.size() && is_word_character(decode_utf8(text, at).code_point);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns)
    : tokens_(std::move(tokens)), root_(trie_.add_root()), starts_(256, 0) {
  // The trie, level by level: node -> (pattern, token) of those that pass through it.
  using Keys = std::map<std::string_view, int32_t>;
  Keys keys;
  for (size_t i = 0; i < patterns.size(); ++i)
    if (!patterns[i].empty()) keys.emplace(patterns[i], static_cast<int32_t>(i));
  std::vector<std::pair<uint32_t, std::string_view>> level = {{root_, ""}};
  while (!level.empty()) {
    std::vector<std::pair<uint32_t, std::string_view>> next;
    for (const auto& [node, head] : level) {
      std::vector<uint8_t> bytes;
      for (auto it = keys.lower_bound(head); it != keys.end() && it->first.starts_with(head); ++it) {
        if (it->first.size() == head.size()) continue;
        const uint8_t byte = static_cast<uint8_t>(it->first[head.size()]);
        if (!bytes.empty() && bytes.back() == byte) continue;
        bytes.push_back(byte);
        next.emplace_back(0, it->first.substr(0, head.size() + 1));
      }
      if (bytes.empty()) continue;
      trie_.add_children(node, bytes);
      for (size_t i = 0; i < bytes.size(); ++i)
        next[next.size() - bytes.size() + i].first = trie_.child(node, bytes[i]);
    }
    token_at_.resize(trie_.size(), -1);
    for (const auto& [node, head] : next)
      if (const auto it = keys.find(head); it != keys.end()) token_at_[node] = it->second;
    level = std::move(next);
  }
  for (const auto& [pattern, token] : keys) starts_[static_cast<uint8_t>(pattern[0])] = 1;
  if (std::count(starts_.begin(), starts_.end(), 1) == 1)
    only_start_ = static_cast<int>(std::find(starts_.begin(), starts_.end(), 1) - starts_.begin());
}

int32_t AddedTokenMatcher::longest_at(std::string_view text, size_t at, size_t& end) const {
  int32_t found = -1;
  uint32_t node = root_;
  for (size_t i = at; i < text.size(); ++i) {
    node = trie_.child(node, static_cast<uint8_t>(text[i]));
    if (node == DoubleArray::kNone) break;
    if (token_at_[node] >= 0) {
      found = token_at_[node];
      end = i + 1;
    }
  }
  return found;
}

/// Applies the token's conditions to a raw match; the peer's order: single_word on the raw match, then the strips.
/// `done` is where the last match ended: its whitespace is not taken twice, and a token with lstrip of which nothing
/// else is left is no match (the peer drops it where its span is empty, and panics where it ends before it begins).
bool AddedTokenMatcher::accept(const AddedToken& token, std::string_view text, size_t done, Part& match) const {
  if (token.single_word && (word_character_before(text, match.begin) || word_character_after(text, match.end)))
    return false;
  if (token.lstrip) {
    size_t at = match.begin;
    while (at > done) {
      const size_t previous = previous_begin(text, at);
      const Utf8Step step = decode_utf8(text, previous);
      // A stray continuation byte must not hide behind the whitespace before it: the text needs repair.
      const bool whole = previous + static_cast<size_t>(step.length_bytes) == at;
      if (!whole || !is_text_whitespace(step.code_point)) break;
      at = previous;
    }
    match.begin = std::max(at, done);
  }
  if (token.rstrip) {
    while (match.end < text.size()) {
      const Utf8Step step = decode_utf8(text, match.end);
      if (!is_text_whitespace(step.code_point)) break;
      match.end += static_cast<size_t>(step.length_bytes);
    }
  }
  match.token = &token;
  return match.begin < match.end;
}

/// The next match from byte `from` on. The search goes on at `resume`, the end of the raw match: the peer's too.
bool AddedTokenMatcher::find(std::string_view text, size_t from, size_t done, Part& match, size_t& resume) const {
  for (size_t at = from; at < text.size(); ++at) {
    if (only_start_ >= 0) {
      const void* hit = std::memchr(text.data() + at, only_start_, text.size() - at);
      if (!hit) return false;
      at = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
    } else if (!starts_[static_cast<uint8_t>(text[at])]) {
      continue;
    }
    size_t end = 0;
    const int32_t token = longest_at(text, at, end);
    if (token < 0) continue;
    match = {at, end, nullptr};
    resume = end;
    if (accept(tokens_[static_cast<size_t>(token)], text, done, match)) return true;
    at = end - 1;
  }
  return false;
}

}  // namespace cloze
