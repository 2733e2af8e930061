// The single characters of a WordPiece vocabulary: which of a corpus go in. Internal to wordpiece_trainer.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cloze/text/word_counter.h"

namespace cloze {

/// A character has two forms: at the beginning of a word ("a") and further on ("##a"). A Chinese character is a word by
/// itself and has the first only.
class Alphabet {
 public:
  /// Counts the forms; none is chosen yet.
  explicit Alphabet(std::span<const WordCount> words);

  /// Chooses the forms seen at least `min_frequency` times, of them the `most` most frequent (of equal ones those of
  /// lower code points, beginnings first).
  void choose(int64_t min_frequency, int64_t most);

  /// Texts of the chosen forms: beginnings by code point, then continuations by code point.
  const std::vector<std::string>& pieces() const { return pieces_; }
  /// Index in pieces() of a character's form; -1 if it was not chosen.
  int32_t beginning(char32_t c) const { return symbols_[size_t{c} * 2]; }
  int32_t continuation(char32_t c) const { return symbols_[size_t{c} * 2 + 1]; }

  int64_t distinct_forms() const { return static_cast<int64_t>(forms_.size()); }
  /// Forms seen often enough that found no room.
  int64_t left_out() const { return left_out_; }
  /// Share of the corpus' characters whose form was chosen.
  double coverage() const { return coverage_; }
  /// The fewest forms that make up `share` of all characters.
  int64_t forms_for(double share) const;

 private:
  struct Form {
    uint32_t id;  ///< 2 * code point, + 1 for a continuation
    int64_t count;
  };
  std::vector<Form> forms_;  ///< most frequent first
  int64_t total_ = 0, left_out_ = 0;
  double coverage_ = 0;
  std::vector<std::string> pieces_;
  std::vector<int32_t> symbols_;  ///< by Form::id
};

}  // namespace cloze
