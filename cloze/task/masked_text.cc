#include "cloze/task/masked_text.h"

#include <algorithm>

#include "cloze/base/utf8.h"

namespace cloze {
namespace {

/// The mask alone, where the tokenizer takes blanks around it along.
void trim(std::string_view text, std::string_view mask, TextSpan& offset, TextSpan& bytes) {
  const auto begin = static_cast<size_t>(bytes.begin), length = static_cast<size_t>(bytes.end) - begin;
  const size_t found = text.substr(begin, length).find(mask);
  if (found == std::string_view::npos) return;
  offset.begin += static_cast<int32_t>(count_code_points(text.substr(begin, found)));
  offset.end = offset.begin + static_cast<int32_t>(count_code_points(mask));
  bytes.begin += static_cast<int32_t>(found);
  bytes.end = bytes.begin + static_cast<int32_t>(mask.size());
}

/// The text with valid UTF-8, to which offsets refer.
std::string repaired(const std::string& text) {
  int64_t replaced = 0;
  return replace_invalid_utf8(text, replaced);
}

/// The masks of the texts, not yet where a sequence holds them.
std::vector<Mask> list_masks(const MaskedText& text, int32_t mask_id, const std::string& name) {
  const TracedRow& row = text.row;
  std::vector<Mask> masks;
  for (size_t piece = 0; piece < row.size(); ++piece) {
    const Encoding& encoding = row.encoding(piece);
    const size_t at = row.place(piece);
    if (encoding.ids[at] != mask_id) continue;
    Mask mask{piece, row.in_second(piece), encoding.offsets[at], encoding.byte_offsets[at], 0, -1};
    trim(mask.in_second ? text.second : text.first, name, mask.offset, mask.bytes);
    masks.push_back(mask);
  }
  return masks;
}

/// Finds each mask in the sequences.
void place_masks(const TracedRow& row, std::vector<Mask>& masks) {
  std::vector<int32_t> mask_of(row.size(), -1);
  for (size_t m = 0; m < masks.size(); ++m) mask_of[masks[m].piece] = static_cast<int32_t>(m);
  std::vector<int32_t> room(masks.size(), -1);
  for (size_t s = 0; s < row.sequences.size(); ++s) {
    const int32_t size = static_cast<int32_t>(row.pieces[s].size());
    for (int32_t i = 0; i < size; ++i) {
      const int32_t piece = row.pieces[s][static_cast<size_t>(i)];
      const int32_t mask = piece < 0 ? -1 : mask_of[static_cast<size_t>(piece)];
      if (mask < 0) continue;
      const size_t m = static_cast<size_t>(mask);
      const int32_t here = std::min(i, size - 1 - i);
      if (here <= room[m]) continue;
      room[m] = here;
      masks[m].sequence = s;
      masks[m].position = i;
    }
  }
}

}  // namespace

MaskedText find_masks(const Tokenizer& tokenizer, const TextExample& row, const RowLimits& limits, int32_t mask_id,
                      const std::string& mask_name) {
  MaskedText result;
  result.first = repaired(row.text);
  if (row.text_pair) result.second = repaired(*row.text_pair);
  result.row = trace_row(tokenizer, row, limits);
  result.masks = list_masks(result, mask_id, mask_name);
  place_masks(result.row, result.masks);
  return result;
}

std::string fill_masks(const MaskedText& row, bool second, std::span<const std::string_view> words,
                       std::string_view prefix) {
  const std::string& text = second ? row.second : row.first;
  const std::vector<Mask>& masks = row.masks;
  std::string result;
  size_t done = 0;
  for (size_t i = 0; i < masks.size(); ++i) {
    if (masks[i].in_second != second) continue;
    result.append(text, done, static_cast<size_t>(masks[i].bytes.begin) - done);
    std::string_view word = words[i];
    if (!prefix.empty() && word.starts_with(prefix) && word.size() > prefix.size()) {
      word.remove_prefix(prefix.size());
      while (result.ends_with(' ')) result.pop_back();
    }
    result += word;
    done = static_cast<size_t>(masks[i].bytes.end);
  }
  return result.append(text, done);
}

}  // namespace cloze
