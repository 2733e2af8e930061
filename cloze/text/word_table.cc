#include "cloze/text/word_table.h"

#include <algorithm>
#include <limits>

#include "cloze/base/error.h"

namespace cloze {

uint64_t hash_word(std::string_view word) {  // FNV-1a, its bits mixed: both ends of the hash are used
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93u;
  return hash ^ hash >> 32;
}

void WordTable::grow() {
  slots_.assign(std::max<size_t>(1024, slots_.size() * 2), 0);
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = entries_[i].hash & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<uint32_t>(i + 1);
  }
}

void WordTable::add(std::string_view word, uint64_t hash, int64_t count) {
  if (entries_.size() * 2 >= slots_.size()) grow();
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
    Entry& entry = entries_[slots_[slot] - 1];
    if (entry.hash != hash || this->word(entry) != word) continue;
    entry.count += count;
    return;
  }
  constexpr size_t kMost = std::numeric_limits<uint32_t>::max();
  CLOZE_CHECK(text_.size() + word.size() <= kMost && entries_.size() < kMost, ErrorCode::kUnsupported,
              "the corpus has more distinct words than one table holds (4 GB)");
  entries_.push_back({hash, count, static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(word.size())});
  text_ += word;
  slots_[slot] = static_cast<uint32_t>(entries_.size());
}

void WordTable::clear() {
  text_.clear();
  entries_.clear();
  std::fill(slots_.begin(), slots_.end(), 0);
}

int64_t WordTable::remove_rare(int64_t floor) {
  WordTable kept;
  int64_t removed = 0;
  for (const Entry& entry : entries_) {
    if (entry.count > floor) {
      kept.add(word(entry), entry.hash, entry.count);
    } else {
      removed += entry.count;
    }
  }
  *this = std::move(kept);
  return removed;
}

}  // namespace cloze
