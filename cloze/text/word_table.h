// WordTable: how often each word was seen. A hash table that keeps words in one arena; 24 bytes and the text a word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cloze {

uint64_t hash_word(std::string_view word);

class WordTable {
 public:
  struct Entry {
    uint64_t hash;
    int64_t count;
    uint32_t begin, length;
  };

  /// `hash` is hash_word(word). Errors: kUnsupported when all words together pass 4 GB.
  void add(std::string_view word, uint64_t hash, int64_t count);
  size_t size() const { return entries_.size(); }
  const std::vector<Entry>& entries() const { return entries_; }
  /// Valid until the next add() or remove_rare().
  std::string_view word(const Entry& entry) const { return std::string_view(text_).substr(entry.begin, entry.length); }
  void clear();
  /// Removes the words seen at most `floor` times; returns how often they were seen together.
  int64_t remove_rare(int64_t floor);

 private:
  void grow();

  std::string text_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  ///< entry + 1; 0 is free. At most half full.
};

}  // namespace cloze
