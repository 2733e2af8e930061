// The hash under which answers of the peer are kept in golden/*.tsv.
#pragma once

#include <cstdint>

#include "cloze/text/tokenizer.h"

namespace cloze {

/// The same two mixers as in tools/golden_tokenizer.js.
struct GoldenHash {
  uint32_t a = 0x811C9DC5, b = 0x1234567;

  void add(int64_t value) {
    const uint32_t x = static_cast<uint32_t>(value);
    a = (a ^ x) * 16777619u;
    b = ((b ^ x) + (b >> 15)) * 0x9E3779B1u;
  }
  void add(const Encoding& encoding) {
    for (const int32_t id : encoding.ids) add(id);
    for (const TextSpan& span : encoding.offsets) {
      add(span.begin);
      add(span.end);
    }
  }
  void add(const Encoding& encoding, int64_t replaced) {
    add(encoding);
    add(replaced);
  }
  bool operator==(const GoldenHash&) const = default;
};

}  // namespace cloze
