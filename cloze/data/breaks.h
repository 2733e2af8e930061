// Borders of sentences and of Chinese words, by ICU (Unicode Annex 29; for Chinese ICU's dictionary).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace cloze {

/// Finds borders in one text after the other. Not thread-safe: each thread has its own.
class TextBreaker {
 public:
  enum class Unit : uint8_t { kSentence, kWord };
  /// Errors: kInternal where ICU lacks its data.
  explicit TextBreaker(Unit unit);
  ~TextBreaker();
  TextBreaker(TextBreaker&&) noexcept;
  TextBreaker& operator=(TextBreaker&&) noexcept;

  /// Byte offsets of the borders in `text` (valid UTF-8, up to 2^31 - 1 bytes), without 0, with the text's end; good
  /// until the next call. Empty for an empty text.
  const std::vector<int32_t>& borders(std::string_view text);

 private:
  struct Iterator;
  std::unique_ptr<Iterator> iterator_;
  std::vector<int32_t> borders_;
};

}  // namespace cloze
