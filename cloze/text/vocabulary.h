// Vocabulary: pieces <-> ids, and the five tokens that BERT treats apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

/// How the special tokens are spelled.
struct SpecialTokenNames {
  std::string pad = "[PAD]", unk = "[UNK]", cls = "[CLS]", sep = "[SEP]", mask = "[MASK]";
  bool operator==(const SpecialTokenNames&) const = default;
};

/// An id is the position in the list (the line of vocab.txt, from 0). Of equal pieces the last one owns the piece: it
/// is what id() finds; the earlier ids keep their text and are never produced. An empty piece is a hole: an id that no
/// text produces. Copies are whole.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// Errors: kFormat if a piece is not valid UTF-8, if a special token other than pad and mask is missing, if the list
  /// is empty. `where` names the source in messages.
  explicit Vocabulary(const std::vector<std::string>& pieces, SpecialTokenNames names = {},
                      std::string_view where = "vocabulary");

  /// Reads vocab.txt: a piece a line; lines end at '\n', one trailing '\r' is dropped. Errors: kNotFound, kIo, kFormat.
  static Vocabulary load(const Path& path, SpecialTokenNames names = {});
  /// Writes vocab.txt. Errors: kIo; kUnsupported if a piece holds a line end, which the format cannot say.
  void save(const Path& path) const;

  /// Number of ids that id() can give: size() less holes and early duplicates.
  int64_t distinct_size() const { return distinct_; }
  /// Number of ids, holes included: the rows of the embedding table.
  int64_t size() const { return static_cast<int64_t>(ends_.size()); }
  /// The text of an id. Errors: kValue outside 0 to size() - 1.
  std::string_view piece(int32_t id) const;
  std::optional<int32_t> id(std::string_view piece) const;
  bool contains(std::string_view piece) const { return id(piece).has_value(); }

  const SpecialTokenNames& names() const { return names_; }
  int32_t unk_id() const { return unk_; }
  int32_t cls_id() const { return cls_; }
  int32_t sep_id() const { return sep_; }
  /// Errors: kNotFound if the vocabulary has no such token.
  int32_t pad_id() const { return need(names_.pad, "padding"); }
  int32_t mask_id() const { return need(names_.mask, "mask"); }

 private:
  int32_t need(const std::string& name, const char* role) const;
  int32_t require(const std::string& name, const char* role, std::string_view where) const;
  size_t slot_of(std::string_view piece) const;
  std::string_view text_of(size_t id) const;

  std::string text_;            ///< all pieces, one after another
  std::vector<uint32_t> ends_;  ///< piece i ends at ends_[i] in text_
  std::vector<int32_t> slots_;  ///< open addressing; -1 is free
  SpecialTokenNames names_;
  int32_t unk_ = -1, cls_ = -1, sep_ = -1;
  int64_t distinct_ = 0;
};

}  // namespace cloze
