// WordPiece, longest match first, in linear time: the LinMaxMatch automaton of Song, Salcianu, Song, Dopson, Zhou,
// "Fast WordPiece Tokenization" (EMNLP 2021). A trie over bytes, and for each node the answer to "what if no piece goes
// on from here": the pieces that are then certain (pops), and the node that stands for the bytes that are left (fail).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/text/double_array.h"
#include "cloze/text/vocabulary.h"

namespace cloze {

class PieceTrie {
 public:
  /// Pieces that start with `prefix` ("##") stand inside words, the others at their start. Pieces of more than
  /// `max_chars_per_word` characters can match nothing and are left out.
  /// Errors: kUnsupported if the vocabulary would need an absurd amount of memory.
  PieceTrie(const Vocabulary& vocabulary, const std::string& prefix, int64_t max_chars_per_word);

  /// The state before a word's first byte.
  uint32_t start() const { return word_root_; }

  /// The state after one more byte of the word. Calls emit(id) for each piece that has become certain. In the state
  /// DoubleArray::kNone the word has no segmentation; it stays there.
  template <class Emit>
  uint32_t advance(uint32_t node, uint8_t byte, Emit&& emit) const {
    uint32_t next = trie_.child(node, byte);
    while (next == DoubleArray::kNone) [[unlikely]] {
        const Link& link = links_[node];
        if (link.fail == DoubleArray::kNone) return DoubleArray::kNone;
        for (uint32_t i = 0; i < link.pop_count; ++i) emit(pops_[link.pops_begin + i]);
        node = link.fail;
        next = trie_.child(node, byte);
      }
    return next;
  }

  /// Ends the word: emits the pieces that are left. False if the word has no segmentation (the pieces emitted for it
  /// must then be taken back).
  template <class Emit>
  bool finish(uint32_t node, Emit&& emit) const {
    while (node != inner_root_) {
      const Link& link = links_[node];
      if (link.fail == DoubleArray::kNone) return false;
      for (uint32_t i = 0; i < link.pop_count; ++i) emit(pops_[link.pops_begin + i]);
      node = link.fail;
    }
    return true;
  }

  /// Bytes of a word that a piece covers: all of its text at the start of the word, less the prefix inside.
  uint32_t piece_bytes(int32_t id, size_t index_in_word) const {
    return piece_bytes_[static_cast<size_t>(id)] - (index_in_word == 0 ? 0 : prefix_bytes_);
  }

 private:
  struct Link {
    uint32_t fail = DoubleArray::kNone;
    uint32_t pops_begin = 0, pop_count = 0;
  };
  struct Key;
  struct Work;
  void build(const std::vector<Key>& keys, size_t inner_count);
  Link link_of_child(uint32_t parent, uint8_t byte, int32_t id);

  DoubleArray trie_;
  uint32_t inner_root_, word_root_;  ///< the states inside a word and before it
  std::vector<Link> links_;
  std::vector<int32_t> pops_;
  std::vector<uint32_t> piece_bytes_;
  uint32_t prefix_bytes_;
};

}  // namespace cloze
