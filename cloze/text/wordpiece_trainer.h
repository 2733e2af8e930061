// WordPiece vocabularies from word counts, by merging the most frequent pair of neighbouring symbols again and again
// (byte-pair encoding with "##" inside words), as Hugging Face's WordPieceTrainer does.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cloze/text/word_counter.h"

namespace cloze {

struct WordPieceTrainerOptions {
  int64_t size = 30522;       ///< entries in all, special tokens included
  int64_t min_frequency = 2;  ///< characters and pairs seen less often do not become entries
  int64_t unused = 0;         ///< [unused0] ...: places for words of later
  /// Most single characters (and ##characters); the most frequent go in. 0: 40 % of `size`, at least 256. Characters
  /// that each occur a few times in a corpus of two scripts would else fill a small vocabulary.
  int64_t alphabet_limit = 0;
  /// Called now and then with the entries made so far.
  std::function<void(int64_t done, int64_t size)> progress = nullptr;
};

struct TrainedVocabulary {
  /// [PAD] [unused0]... [UNK] [CLS] [SEP] [MASK], characters, ##characters, merges in their order.
  std::vector<std::string> pieces;
  int64_t characters = 0;           ///< single characters and ##characters among the pieces
  int64_t merges = 0;               ///< pieces of several characters
  int64_t left_out_characters = 0;  ///< seen min_frequency times, but beyond alphabet_limit
  double character_coverage = 0;    ///< share of the corpus' characters that have their entry
  double word_coverage = 0;         ///< share of the words (occurrences) of which all characters have
};

/// The result depends on the words and counts alone: of equally frequent pairs the one with the lower ids is merged
/// first. Every word whose characters (as they stand: "a" or "##a") are pieces can be tokenized without [UNK]; other
/// words take no part in merging. The vocabulary is smaller than `size` when no pair is left that is seen often enough.
/// Errors: kValue for no words, options out of range, or a size that cannot hold the special tokens and the characters
/// that make up 95 % of the text.
TrainedVocabulary train_wordpiece(std::span<const WordCount> words, const WordPieceTrainerOptions& options = {});

}  // namespace cloze
