// A trie over bytes as a double array: the child of `node` by `byte` stands at units[node].base + byte if that unit
// names `node` as its parent. A step is one addition, one load and one comparison.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cloze {

class DoubleArray {
 public:
  /// No node. Its children are none too, so a walk may go on from it.
  static constexpr uint32_t kNone = 0;

  DoubleArray();

  uint32_t child(uint32_t node, uint8_t byte) const {
    const uint32_t at = units_[node].base + byte;
    return units_[at].parent == node ? at : kNone;
  }
  /// Every node is less than this.
  uint32_t size() const { return static_cast<uint32_t>(units_.size()); }

  // Building: roots first, then the children of each node, once a node.
  uint32_t add_root();
  /// `bytes` are sorted and not empty; afterwards child(node, byte) exists for each of them.
  void add_children(uint32_t node, std::span<const uint8_t> bytes);

 private:
  static constexpr uint32_t kFree = 0xFFFFFFFF;
  struct Unit {
    uint32_t base;    ///< where the children stand
    uint32_t parent;  ///< kFree if free
  };
  void grow(uint32_t size);
  void take(uint32_t at, uint32_t parent);
  uint32_t find_base(std::span<const uint8_t> bytes);

  std::vector<Unit> units_;
  uint32_t tail_ = 1;                                ///< all units from here on are free
  std::vector<uint32_t> previous_free_, next_free_;  ///< a list through the free units, in ascending order; 0 ends it
};

}  // namespace cloze
