// The tokenizer against its specification (tests/text/naive_tokenizer.h) on any text.
#pragma once

#include <fmt/ranges.h>

#include "fuzz/fuzz.h"
#include "tests/text/naive_tokenizer.h"

namespace cloze::fuzz {

inline std::string spans_text(const std::vector<TextSpan>& spans) {
  std::string text;
  for (const TextSpan& span : spans) text += fmt::format(" {}-{}", span.begin, span.end);
  return text;
}

inline void check_equal(const Encoding& a, const Encoding& b) {
  FUZZ_CHECK(a.ids == b.ids, "{} but {}", a.ids, b.ids);
  FUZZ_CHECK(a.segments == b.segments, "{} but {}", a.segments, b.segments);
  FUZZ_CHECK(a.offsets == b.offsets, "{} but {}", spans_text(a.offsets), spans_text(b.offsets));
  FUZZ_CHECK(a.byte_offsets == b.byte_offsets, "{} but {}", spans_text(a.byte_offsets), spans_text(b.byte_offsets));
  FUZZ_CHECK(a.words == b.words, "{} but {}", a.words, b.words);
  FUZZ_CHECK(a.counts.replaced_sequences == b.counts.replaced_sequences, "replaced");
  FUZZ_CHECK(a.counts.dropped_tokens == b.counts.dropped_tokens, "dropped");
}

/// What holds for every encoding: lengths, and offsets inside of the text.
inline void check_sane(const Encoding& e, size_t longest_bytes) {
  const size_t n = e.ids.size();
  FUZZ_CHECK(e.segments.size() == n && e.offsets.size() == n && e.words.size() == n, "{} ids", n);
  for (const std::vector<TextSpan>* spans : {&e.offsets, &e.byte_offsets})
    for (const TextSpan& span : *spans)
      FUZZ_CHECK(span.begin >= 0 && span.begin <= span.end && span.end <= static_cast<int64_t>(longest_bytes),
                 "{} to {}", span.begin, span.end);
}

/// The whole encoding of one text (`second` absent) or of two, and the ids alone, against the specification.
inline void check_text(const Tokenizer& tokenizer, const NaiveTokenizer& naive, std::string_view first,
                       std::optional<std::string_view> second, const EncodeOptions& options) {
  const std::optional<Encoding> expected = naive.encode(first, second, options);
  Encoding found;
  std::vector<int32_t> ids, segments;
  EncodeCounts counts;
  const std::string error = error_of(
      [&] { found = second ? tokenizer.encode_pair(first, *second, options) : tokenizer.encode(first, options); });
  const std::string ids_error = error_of([&] {
    counts = second ? tokenizer.encode_pair_ids(first, *second, ids, segments, options)
                    : tokenizer.encode_ids(first, ids, options);
  });
  FUZZ_CHECK(error.empty() == expected.has_value() && error == ids_error, "\"{}\" and \"{}\"", error, ids_error);
  if (!expected) return;
  check_equal(found, *expected);
  check_sane(found, 3 * std::max(first.size(), second.value_or("").size()));
  FUZZ_CHECK(ids == found.ids, "{} but {}", ids, found.ids);
  FUZZ_CHECK(!second || segments == found.segments, "{} but {}", segments, found.segments);
  FUZZ_CHECK(counts.replaced_sequences == found.counts.replaced_sequences, "replaced");
  FUZZ_CHECK(counts.dropped_tokens == found.counts.dropped_tokens, "dropped");
}

/// A sentence in which most steps of the tokenizer have something to do.
constexpr std::string_view kSampleText =
    "The caf\u00E9's [MASK] \u4E2D\u6587, \uD55C\uAE00 a\u0323\u0301b <x> WALKING\t[unk]\xFF un\u200Bable\u3000[SEP].  \t \t";

}  // namespace cloze::fuzz
