// The random numbers of dropout, shared by all backends.
#pragma once

#include <cstdint>

#include "cloze/backend/backend.h"
#include "cloze/base/rng.h"

namespace cloze {

/// Eight 16-bit numbers at a time: block i / 8 of a dropout site, remembered between neighbours.
class Random16 {
 public:
  explicit Random16(const Dropout& dropout) : dropout_(dropout) {}
  uint32_t operator()(int64_t i) {
    if (i / 8 != block_) {
      block_ = i / 8;
      words_ = philox(dropout_.key, static_cast<uint32_t>(RandomStream::kDropout), dropout_.site,
                      static_cast<uint64_t>(block_));
    }
    const uint32_t word = words_[static_cast<size_t>(i % 8 / 2)];
    return i % 2 == 0 ? word & 0xFFFFu : word >> 16;
  }
  /// 0 where element i is dropped, else the scale.
  double factor(int64_t i) { return (*this)(i) >= dropout_.threshold ? dropout_.scale() : 0.0; }

 private:
  Dropout dropout_;
  int64_t block_ = -1;
  std::array<uint32_t, 4> words_{};
};

}  // namespace cloze
