#include "cloze/text/piece_trie.h"

#include <algorithm>
#include <deque>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

// Pops of all nodes together; real vocabularies need fewer than one a node. A hostile one could ask for the square of
// its size.
constexpr size_t kMaxPops = size_t{1} << 26;

}  // namespace

struct PieceTrie::Key {
  std::string_view bytes;
  int32_t id;
};

/// A node whose children are still to be made: they are keys[begin, end), which share their first `depth` bytes.
struct PieceTrie::Work {
  uint32_t node;
  size_t begin, end, depth;
};

PieceTrie::PieceTrie(const Vocabulary& vocabulary, const std::string& prefix, int64_t max_chars_per_word)
    : inner_root_(trie_.add_root()), word_root_(trie_.add_root()), prefix_bytes_(static_cast<uint32_t>(prefix.size())) {
  std::vector<Key> keys;
  piece_bytes_.resize(static_cast<size_t>(vocabulary.size()));
  const auto add = [&](std::string_view bytes, int32_t id) {
    if (!bytes.empty() && count_code_points(bytes) <= max_chars_per_word) keys.push_back({bytes, id});
  };
  // Two tries: pieces inside words without their prefix, then pieces at the start of words. A prefix such as "##"
  // begins with punctuation, which is a word of its own: no longer word starts with it. Any other prefix may start a
  // word too.
  const bool prefix_is_apart = prefix.size() > 1 && std::ispunct(static_cast<unsigned char>(prefix[0]));
  const auto owned = [&](int32_t id) { return vocabulary.id(vocabulary.piece(id)) == id; };  // not an early duplicate
  const int32_t size = static_cast<int32_t>(vocabulary.size());
  for (int32_t id = 0; id < size; ++id) {
    const std::string_view piece = vocabulary.piece(id);
    const bool inner = piece.starts_with(prefix);
    piece_bytes_[static_cast<size_t>(id)] = static_cast<uint32_t>(piece.size());
    if (inner && owned(id)) add(piece.substr(prefix.size()), id);
  }
  const size_t inner_count = keys.size();
  for (int32_t id = 0; id < size; ++id) {
    const std::string_view piece = vocabulary.piece(id);
    if (!(prefix_is_apart && piece.starts_with(prefix)) && owned(id)) add(piece, id);
  }
  const auto less = [](const Key& a, const Key& b) { return a.bytes < b.bytes; };
  std::sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(inner_count), less);
  std::sort(keys.begin() + static_cast<std::ptrdiff_t>(inner_count), keys.end(), less);
  build(keys, inner_count);
}

/// Breadth first: the fail link of a node leads to a shorter string, whose children then exist already.
void PieceTrie::build(const std::vector<Key>& keys, size_t inner_count) {
  std::deque<Work> queue;
  queue.push_back({inner_root_, 0, inner_count, 0});
  queue.push_back({word_root_, inner_count, keys.size(), 0});
  std::vector<uint8_t> bytes;
  std::vector<size_t> begins;
  for (; !queue.empty(); queue.pop_front()) {
    Work work = queue.front();
    if (work.begin < work.end && keys[work.begin].bytes.size() == work.depth) ++work.begin;  // the node's own piece
    bytes.clear();
    begins.clear();
    for (size_t i = work.begin; i < work.end; ++i) {
      const uint8_t byte = static_cast<uint8_t>(keys[i].bytes[work.depth]);
      if (bytes.empty() || bytes.back() != byte) {
        bytes.push_back(byte);
        begins.push_back(i);
      }
    }
    if (bytes.empty()) continue;
    trie_.add_children(work.node, bytes);
    links_.resize(trie_.size());
    begins.push_back(work.end);
    for (size_t i = 0; i < bytes.size(); ++i) {
      const uint32_t child = trie_.child(work.node, bytes[i]);
      const Key& first = keys[begins[i]];
      links_[child] = link_of_child(work.node, bytes[i], first.bytes.size() == work.depth + 1 ? first.id : -1);
      queue.push_back({child, begins[i], begins[i + 1], work.depth + 1});
    }
  }
  links_.resize(trie_.size());
}

/// Algorithm 1 of the paper. `id` is the piece that ends at the child, or -1.
PieceTrie::Link PieceTrie::link_of_child(uint32_t parent, uint8_t byte, int32_t id) {
  const uint32_t begin = static_cast<uint32_t>(pops_.size());
  if (id >= 0) {
    pops_.push_back(id);
    return {inner_root_, begin, 1};
  }
  const Link from = links_[parent];
  uint32_t state = from.fail, added = 0;
  while (state != DoubleArray::kNone && trie_.child(state, byte) == DoubleArray::kNone) {
    added += links_[state].pop_count;
    state = links_[state].fail;
  }
  if (state == DoubleArray::kNone) return {};
  const uint32_t next = trie_.child(state, byte);
  if (added == 0) return {next, from.pops_begin, from.pop_count};  // the parent's pops serve both
  CLOZE_CHECK(pops_.size() + from.pop_count + added <= kMaxPops, ErrorCode::kUnsupported,
              "the vocabulary is too repetitive: its failure links need more than {} entries", kMaxPops);
  const auto copy = [&](const Link& link) {
    for (uint32_t i = 0; i < link.pop_count; ++i) pops_.push_back(pops_[link.pops_begin + i]);
  };
  copy(from);
  for (state = from.fail; trie_.child(state, byte) == DoubleArray::kNone; state = links_[state].fail)
    copy(links_[state]);
  return {next, begin, from.pop_count + added};
}

}  // namespace cloze
