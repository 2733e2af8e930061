#include "cloze/transfer/embedding.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "cloze/base/json.h"
#include "cloze/base/profile.h"
#include "cloze/base/suggest.h"
#include "cloze/base/thread_team.h"
#include "cloze/data/breaks.h"
#include "cloze/task/traced_row.h"

namespace cloze {
namespace {

void note_counts(const EncodedRows& encoded, EmbeddedRows& result) {
  result.lengths = encoded.counts();
  for (size_t row = 0; row < encoded.rows(); ++row) {
    result.tokens.push_back(encoded.tokens(row));
    result.windows.push_back(static_cast<int64_t>(encoded.windows(row)));
    result.truncated.push_back(encoded.dropped[row]);
  }
}

EmbeddedRows embed_texts(const FrozenEncoder& encoder, std::span<const TextExample> rows, const Poolings& poolings) {
  const EncodedRows encoded = encode_rows(encoder.tokenizer, rows, encoder.limits);
  EmbeddedRows result;
  result.vectors = row_vectors(encoder, encoded, poolings);
  for (size_t row = 0; row <= rows.size(); ++row) result.begin.push_back(row);
  note_counts(encoded, result);
  return result;
}

/// Of each piece the number of the word that it begins in, by ICU; the second text's words follow the first's.
std::vector<int64_t> words_of_pieces(const TracedRow& row, const TextExample& example, TextBreaker& breaker) {
  std::vector<int64_t> words;
  int64_t before = 0;
  const auto add = [&](const Encoding& encoding, std::string_view text) {
    const std::vector<int32_t>& borders = breaker.borders(text);
    for (const TextSpan& span : encoding.byte_offsets)
      words.push_back(before + (std::ranges::upper_bound(borders, span.begin) - borders.begin()));
    before += static_cast<int64_t>(borders.size()) + 1;
  };
  add(row.first, example.text);
  if (example.text_pair) add(row.second, *example.text_pair);
  return words;
}

/// The pieces of a row as units: each is the pieces [begin,end).
std::vector<std::pair<size_t, size_t>> parts_of(const TracedRow& row, const TextExample& example, Unit unit,
                                                TextBreaker& breaker) {
  std::vector<int64_t> words;
  if (unit == Unit::kWord) words = words_of_pieces(row, example, breaker);
  std::vector<std::pair<size_t, size_t>> parts;
  for (size_t piece = 0; piece < row.size(); ++piece) {
    const size_t place = row.place(piece);
    const std::vector<int32_t>& own = row.encoding(piece).words;
    // A word of WordPiece stays whole, wherever ICU sees a border.
    const bool inside =
        unit == Unit::kWord && place > 0 && (words[piece] == words[piece - 1] || own[place] == own[place - 1]);
    if (inside)
      parts.back().second = piece + 1;
    else
      parts.emplace_back(piece, piece + 1);
  }
  return parts;
}

UnitPlace place_of_part(const Tokenizer& tokenizer, const TextExample& example, const TracedRow& row,
                        std::pair<size_t, size_t> part, Unit unit) {
  const Encoding& encoding = row.encoding(part.first);
  const size_t first = row.place(part.first), last = row.place(part.second - 1);
  UnitPlace place;
  place.in_second = row.in_second(part.first);
  place.offset = {encoding.offsets[first].begin, encoding.offsets[last].end};
  if (unit == Unit::kToken) {
    place.text = tokenizer.token(encoding.ids[first]);
  } else {
    // Rows are valid UTF-8 here: the reader refused or replaced what was not.
    const std::string& text = place.in_second ? *example.text_pair : example.text;
    const size_t begin = static_cast<size_t>(encoding.byte_offsets[first].begin);
    place.text = text.substr(begin, static_cast<size_t>(encoding.byte_offsets[last].end) - begin);
  }
  return place;
}

/// The mean vectors [pieces,D] of a row's pieces over the windows that hold them, and how many do.
struct PieceVectors {
  std::vector<double> sums;
  std::vector<int64_t> windows;
};

PieceVectors piece_vectors(const TracedRow& row, const float* states, int64_t D) {
  PieceVectors pieces{std::vector<double>(row.size() * static_cast<size_t>(D)), std::vector<int64_t>(row.size())};
  for (const std::vector<int32_t>& of_sequence : row.pieces)
    for (const int32_t piece : of_sequence) {
      if (piece >= 0) {
        ++pieces.windows[static_cast<size_t>(piece)];
        for (int64_t d = 0; d < D; ++d)
          pieces.sums[static_cast<size_t>(piece) * static_cast<size_t>(D) + static_cast<size_t>(d)] +=
              static_cast<double>(states[d]);
      }
      states += D;
    }
  return pieces;
}

/// The part's vector from the pieces that were seen; false if none was.
bool part_vector(const PieceVectors& pieces, std::pair<size_t, size_t> part, WordVector how, int64_t D, float* out) {
  std::vector<double> sum(static_cast<size_t>(D));
  int64_t seen = 0;
  for (size_t piece = part.first; piece < part.second; ++piece) {
    if (pieces.windows[piece] == 0) continue;
    ++seen;
    for (size_t d = 0; d < sum.size(); ++d)
      sum[d] += pieces.sums[piece * sum.size() + d] / static_cast<double>(pieces.windows[piece]);
  }
  const double divisor = how == WordVector::kMean ? static_cast<double>(std::max<int64_t>(seen, 1)) : 1;
  for (size_t d = 0; d < sum.size(); ++d) out[d] = static_cast<float>(sum[d] / divisor);
  return seen > 0;
}

EmbeddedRows embed_parts(const FrozenEncoder& encoder, std::span<const TextExample> rows,
                         const EmbeddingOptions& options) {
  ProfilePhase phase("tokenize");
  std::vector<TracedRow> traced(rows.size());
  thread_team().for_ranges(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      traced[static_cast<size_t>(i)] = trace_row(encoder.tokenizer, rows[static_cast<size_t>(i)], encoder.limits);
  });
  phase.next("forward");
  EncodedRows encoded;
  for (const TracedRow& row : traced) {
    std::ranges::copy(row.sequences, std::back_inserter(encoded.sequences));
    encoded.begin.push_back(encoded.sequences.size());
    encoded.dropped.push_back(row.dropped);
  }
  const Pooling& pooling = options.poolings.front();
  const int64_t D = vector_width({pooling}, encoder.config);
  std::vector<float> states;  // of all tokens
  for (const auto& [begin, end] : token_batches(encoded.sequences)) {
    const Tensor part = token_vectors(encoder.bert, join_sequences(encoded.sequences, begin, end), pooling);
    const auto values = part.values<float>();
    states.insert(states.end(), values.begin(), values.end());
  }
  EmbeddedRows result;
  result.begin.push_back(0);
  TextBreaker breaker(TextBreaker::Unit::kWord);
  std::vector<float> vectors;
  const float* at = states.data();
  for (size_t i = 0; i < rows.size(); ++i) {
    const PieceVectors pieces = piece_vectors(traced[i], at, D);
    at += encoded.tokens(i) * D;
    for (const auto& part : parts_of(traced[i], rows[i], options.unit, breaker)) {
      vectors.resize(vectors.size() + static_cast<size_t>(D));
      if (part_vector(pieces, part, options.word_vector, D, vectors.data() + vectors.size() - D))
        result.places.push_back(place_of_part(encoder.tokenizer, rows[i], traced[i], part, options.unit));
      else
        vectors.resize(vectors.size() - static_cast<size_t>(D));
    }
    result.begin.push_back(result.places.size());
  }
  result.vectors = Tensor::of(Shape({static_cast<int64_t>(result.places.size()), D}), vectors);
  note_counts(encoded, result);
  return result;
}

void add_vector(const Tensor& vectors, size_t at, JsonLine& line) {
  const int64_t D = vectors.shape()[1];
  line.key("vector").begin_array();
  for (int64_t d = 0; d < D; ++d) line.value(vectors.data<float>()[static_cast<int64_t>(at) * D + d]);
  line.end_array();
}

}  // namespace

Unit parse_unit(const std::string& name) {
  if (name == "text") return Unit::kText;
  if (name == "token") return Unit::kToken;
  if (name == "word") return Unit::kWord;
  fail(ErrorCode::kUsage, "a vector for each text, token or word? got \"{}\"{}", name,
       did_you_mean(name, {"text", "token", "word"}));
}

WordVector parse_word_vector(const std::string& name) {
  if (name == "mean") return WordVector::kMean;
  if (name == "sum") return WordVector::kSum;
  fail(ErrorCode::kUsage, "the pieces of a word are joined by mean or sum, got \"{}\"{}", name,
       did_you_mean(name, {"mean", "sum"}));
}

EmbeddedRows embed_rows(const FrozenEncoder& encoder, std::span<const TextExample> rows,
                        const EmbeddingOptions& options) {
  if (options.unit == Unit::kText) return embed_texts(encoder, rows, options.poolings);
  CLOZE_CHECK(options.poolings.size() == 1 && options.poolings.front().tokens == Pooling::Tokens::kMean,
              ErrorCode::kUsage,
              "pooling \"{}\": a token or a word has its own vector, so only layers can be chosen: mean (the last), "
              "layer=K, first-last, last4-mean or last4-concat",
              poolings_text(options.poolings));
  return embed_parts(encoder, rows, options);
}

std::vector<std::string> embedding_lines(const EmbeddedRows& rows, LineVectors vectors) {
  const bool with = vectors == LineVectors::kWith;
  std::vector<std::string> lines;
  for (size_t row = 0; row + 1 < rows.begin.size(); ++row) {
    JsonLine line;
    line.begin_object();
    if (rows.places.empty() && rows.begin[row + 1] == rows.begin[row] + 1) {
      if (with) add_vector(rows.vectors, row, line);
    } else {
      line.key("units").begin_array();
      for (size_t at = rows.begin[row]; at < rows.begin[row + 1]; ++at) {
        const UnitPlace& place = rows.places[at];
        line.begin_object().member("text", place.text).member("in", place.in_second ? "text_pair" : "text");
        line.key("offset").begin_array().value(place.offset.begin).value(place.offset.end).end_array();
        if (with) add_vector(rows.vectors, at, line);
        line.end_object();
      }
      line.end_array();
    }
    line.member("tokens", rows.tokens[row]).member("windows", rows.windows[row]);
    lines.push_back(line.member("truncated", rows.truncated[row]).end_object().text());
  }
  return lines;
}

}  // namespace cloze
