// Vectors of texts, of their tokens or of their words. D is the width of a vector.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cloze/transfer/frozen_encoder.h"

namespace cloze {

/// What gets a vector of its own.
enum class Unit : uint8_t { kText, kToken, kWord };
/// A word's vector from those of its pieces.
enum class WordVector : uint8_t { kMean, kSum };

struct EmbeddingOptions {
  Poolings poolings = {Pooling()};  ///< of tokens and words one, of which only the layers count
  Unit unit = Unit::kText;
  WordVector word_vector = WordVector::kMean;
};

/// "text", "token", "word"; "mean", "sum". Errors: kUsage.
Unit parse_unit(const std::string& name);
WordVector parse_word_vector(const std::string& name);

/// A token or a word where it stands in its row. Offsets count code points of its own text.
struct UnitPlace {
  std::string text;  ///< a token as in the vocabulary; a word as in the row
  TextSpan offset;
  bool in_second = false;
};

/// The vectors of some rows end to end: those of row r are begin[r] to begin[r+1].
struct EmbeddedRows {
  Tensor vectors;                 ///< [N,D] F32
  std::vector<UnitPlace> places;  ///< one a vector; empty for whole texts
  std::vector<size_t> begin;
  std::vector<int64_t> tokens, windows, truncated;  ///< of each row; truncated: pieces that no vector has seen
  LengthCounts lengths;
};

/// Words are ICU's (Unicode Annex 29; Chinese by its dictionary), without the blanks between them. [CLS] and [SEP] have
/// no vectors here; a piece that stands in several windows has the mean of them. Errors: kUsage for tokens or words
/// with a pooling other than of layers.
EmbeddedRows embed_rows(const FrozenEncoder& encoder, std::span<const TextExample> rows,
                        const EmbeddingOptions& options);

/// One JSON object a row: {"vector": […], "tokens", "windows", "truncated"}, or with "units": [{"text", "in", "offset",
/// "vector"}] in place of "vector". Where `vectors` is kWithout, the numbers are left out: what stands beside a .npy.
enum class LineVectors : uint8_t { kWith, kWithout };
std::vector<std::string> embedding_lines(const EmbeddedRows& rows, LineVectors vectors = LineVectors::kWith);

}  // namespace cloze
