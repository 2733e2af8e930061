// Where TextEncoder puts its pieces: IdSink keeps the ids, PieceSink their sources too. Internal to text_encoder.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cloze/text/normalizer.h"
#include "cloze/text/piece_trie.h"
#include "cloze/text/text_encoder.h"

namespace cloze {

class IdSink {
 public:
  static constexpr bool kSources = false;
  explicit IdSink(std::vector<int32_t>& ids) : ids_(ids) {}
  size_t mark() const { return ids_.size(); }
  void rollback(size_t mark) { ids_.resize(mark); }  ///< takes the pieces of the unfinished word back
  void abandon(size_t mark) { ids_.resize(mark); }   ///< takes everything back, finished words too
  void piece(int32_t id) { ids_.push_back(id); }

  // Sources and word borders are nothing to this sink.
  void ascii_source(const SourceSpan&, size_t) {}
  void source(size_t, const SourceSpan&) {}
  void end_word(size_t, const PieceTrie&) {}
  void end_unknown_word() {}
  void whole(int32_t id, const SourceSpan&) { ids_.push_back(id); }

 private:
  std::vector<int32_t>& ids_;
};

class PieceSink {
 public:
  static constexpr bool kSources = true;
  PieceSink(PieceList& out, int64_t max_chars)
      : out_(out), max_bytes_(static_cast<size_t>(std::min(max_chars, int64_t{1} << 30)) * 4) {}
  size_t mark() const { return out_.ids.size(); }
  void rollback(size_t mark) { out_.ids.resize(mark); }
  void abandon(size_t mark) {
    out_.ids.resize(mark);
    out_.sources.resize(mark);
    out_.words.resize(mark);
    word_ = mark == 0 ? 0 : out_.words.back() + 1;
    total_ = 0;
    bytes_.clear();
  }
  void piece(int32_t id) { out_.ids.push_back(id); }

  /// The next `count` bytes of the word are unchanged ASCII; the first stands at `first`.
  void ascii_source(const SourceSpan& first, size_t count) {
    if (total_ == 0) {
      first_ = first;
      plain_ = true;
    } else if (!plain_ || first.byte_begin != last_.byte_end) {
      spread();
      for (size_t i = 0; i < count && bytes_.size() < max_bytes_; ++i) bytes_.push_back(moved(first, i));
    }
    total_ += count;
    last_ = moved(first, count - 1);
  }
  /// The next `count` bytes of the word come from `from`.
  void source(size_t count, const SourceSpan& from) {
    if (total_ == 0) {
      first_ = from;
      plain_ = false;
    } else {
      spread();
    }
    for (size_t i = 0; i < count && bytes_.size() < max_bytes_; ++i) bytes_.push_back(from);
    total_ += count;
    last_ = from;
  }
  /// The pieces from `mark` on are the word.
  void end_word(size_t mark, const PieceTrie& trie) {
    size_t at = 0;
    for (size_t i = mark; i < out_.ids.size(); ++i) {
      const size_t end = at + trie.piece_bytes(out_.ids[i], i - mark);
      close_piece(source_at(at), source_at(end - 1));
      at = end;
    }
    close_word();
  }
  /// The last piece stands for the whole word.
  void end_unknown_word() {
    close_piece(first_, last_);
    close_word();
  }
  /// An added token: a piece and a word at once.
  void whole(int32_t id, const SourceSpan& from) {
    piece(id);
    close_piece(from, from);
    close_word();
  }

 private:
  static SourceSpan moved(SourceSpan span, size_t by) {
    const int32_t n = static_cast<int32_t>(by);
    return {span.byte_begin + n, span.byte_end + n, span.point_begin + n, span.point_end + n};
  }
  SourceSpan source_at(size_t byte) const { return plain_ ? moved(first_, byte) : bytes_[byte]; }
  /// Writes the sources of a run of plain ASCII out one by one, because what follows is not plain.
  void spread() {
    if (!plain_) return;
    plain_ = false;
    for (size_t i = 0; i < total_ && i < max_bytes_; ++i) bytes_.push_back(moved(first_, i));
  }
  void close_piece(const SourceSpan& first, const SourceSpan& last) {
    out_.sources.push_back({first.byte_begin, last.byte_end, first.point_begin, last.point_end});
    out_.words.push_back(word_);
  }
  void close_word() {
    ++word_;
    total_ = 0;
    bytes_.clear();
  }

  PieceList& out_;
  size_t max_bytes_;               ///< a longer word is unknown: of it only the two ends matter
  bool plain_ = true;              ///< the word so far is one run of unchanged ASCII
  size_t total_ = 0;               ///< normalized bytes of the word
  SourceSpan first_, last_;        ///< sources of its two ends
  std::vector<SourceSpan> bytes_;  ///< source of each byte, unless plain_
  int32_t word_ = 0;
};

}  // namespace cloze
