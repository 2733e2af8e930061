#include "cloze/text/double_array.h"

#include <algorithm>

#include "cloze/base/error.h"

namespace cloze {
namespace {

// Free units to try for a node of several children before its end is used: holes at the front are small, and trying
// them all would make the building quadratic.
constexpr int kTries = 64;
// Every base plus 255 stays inside the array, so that child() needs no bounds check.
constexpr uint32_t kSlack = 256;
constexpr uint32_t kMaxUnits = 1u << 30;

}  // namespace

DoubleArray::DoubleArray() {
  units_.push_back({0, kNone + kFree - 1});  // node 0: taken, child of nobody
  previous_free_.push_back(0);
  next_free_.push_back(0);
  grow(2 * kSlack);
}

void DoubleArray::grow(uint32_t size) {
  CLOZE_CHECK(size <= kMaxUnits, ErrorCode::kUnsupported, "the vocabulary is too large: its trie needs {} nodes", size);
  uint32_t last = previous_free_[0];  // the list is a ring through unit 0
  for (uint32_t at = static_cast<uint32_t>(units_.size()); at < size; ++at) {
    units_.push_back({0, kFree});
    previous_free_.push_back(last);
    next_free_.push_back(0);
    next_free_[last] = at;
    last = at;
  }
  previous_free_[0] = last;
}

void DoubleArray::take(uint32_t at, uint32_t parent) {
  units_[at] = {0, parent};
  tail_ = std::max(tail_, at + 1);
  next_free_[previous_free_[at]] = next_free_[at];
  previous_free_[next_free_[at]] = previous_free_[at];
}

uint32_t DoubleArray::add_root() {
  const uint32_t at = next_free_[0];
  take(at, kFree - 1);
  return at;
}

uint32_t DoubleArray::find_base(std::span<const uint8_t> bytes) {
  int tries = bytes.size() == 1 ? static_cast<int>(kSlack) : kTries;
  for (uint32_t at = next_free_[0]; at != 0 && tries > 0; at = next_free_[at], --tries) {
    if (at < bytes[0]) continue;
    const uint32_t base = at - bytes[0];
    if (base + kSlack > units_.size()) break;
    bool fits = true;
    for (const uint8_t byte : bytes) fits = fits && units_[base + byte].parent == kFree;
    if (fits) return base;
  }
  const uint32_t base = tail_ > bytes[0] ? tail_ - bytes[0] : 0;
  if (base + kSlack > units_.size()) grow(base + kSlack + base / 4);
  return base;
}

void DoubleArray::add_children(uint32_t node, std::span<const uint8_t> bytes) {
  const uint32_t base = find_base(bytes);
  for (const uint8_t byte : bytes) take(base + byte, node);
  units_[node].base = base;
}

}  // namespace cloze
