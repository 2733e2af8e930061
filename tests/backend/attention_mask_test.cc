// Attention's dropout mask, read off element by element.
#include <gtest/gtest.h>

#include "cases.h"

namespace cloze::test {
namespace {

constexpr int64_t kLength = 64, kBefore = 5;
constexpr Dropout kDropout{.threshold = 26214, .site = 4, .key = 11};

/// random16 of backend.h, written once more.
uint32_t half_word(int64_t i) {
  const uint32_t word = philox(kDropout.key, static_cast<uint32_t>(RandomStream::kDropout), kDropout.site,
                               static_cast<uint64_t>(i / 8))[static_cast<size_t>(i % 8 / 2)];
  return i % 2 == 0 ? word & 0xFFFF : word >> 16;
}

/// q = 0 makes every p = 1 / 64; v = the identity makes y = m p. A sequence before it moves t.
TEST(AttentionMask, IsTheOneOfTheContract) {
  const int64_t T = kBefore + kLength;
  std::vector<double> identity(static_cast<size_t>(T * kLength), 0.0);
  for (int64_t i = 0; i < kLength; ++i) identity[static_cast<size_t>((kBefore + i) * kLength + i)] = 1;
  for (const DType dtype : {DType::kF32, DType::kF64}) {
    const Tensor q = Tensor::zeros({T, kLength}, dtype), y(q.shape(), dtype);
    cpu_backend().attention({.q = q,
                             .k = q,
                             .v = to_float(Tensor::of({T, kLength}, identity), dtype),
                             .offsets = offsets_of({kBefore, kLength}),
                             .heads = 1,
                             .scale = 1,
                             .dropout = kDropout,
                             .y = y,
                             .lse = {}});
    const Tensor got = to_float(y, DType::kF64);
    for (int64_t t = kBefore; t < T; ++t) {
      for (int64_t j = 0; j < kLength; ++j) {
        const double kept = half_word(t * 65536 + j) >= kDropout.threshold ? kDropout.scale() / kLength : 0;
        ASSERT_NEAR(got.data<double>()[t * kLength + j], kept, 3e-7 * kept) << "token " << t << " key " << j;
      }
    }
  }
}

}  // namespace
}  // namespace cloze::test
