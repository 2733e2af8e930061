// Per-target: the random numbers of dropout, many blocks at a time. Bit for bit those of random16.h.
#if defined(CLOZE_BACKEND_CPU_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLOZE_BACKEND_CPU_DROPOUT_INL_H_
#undef CLOZE_BACKEND_CPU_DROPOUT_INL_H_
#else
#define CLOZE_BACKEND_CPU_DROPOUT_INL_H_
#endif

#include "cloze/backend/cpu/vector_math-inl.h"
#include "cloze/base/rng.h"

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Writes the eight numbers of each of `blocks` blocks from `first` on; `out` has room for blocks rounded up to 16.
/// Each 64-bit lane holds one 32-bit word of one block's counter, so that a full product is one MulEven.
inline void fill_random16(const Dropout& dropout, int64_t first, int64_t blocks, uint16_t* out,
                          RandomStream stream = RandomStream::kDropout) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t b = 0; b < blocks; ++b) {
    const auto words =
        philox(dropout.key, static_cast<uint32_t>(stream), dropout.site, static_cast<uint64_t>(first + b));
    for (size_t i = 0; i < 4; ++i) {
      out[8 * b + 2 * static_cast<int64_t>(i)] = static_cast<uint16_t>(words[i]);
      out[8 * b + 2 * static_cast<int64_t>(i) + 1] = static_cast<uint16_t>(words[i] >> 16);
    }
  }
#else
  const hn::ScalableTag<uint64_t> d;
  const hn::Repartition<uint32_t, decltype(d)> d32;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const V low = hn::Set(d, 0xFFFFFFFFu);
  const V mul0 = hn::Set(d, 0xD2511F53u), mul1 = hn::Set(d, 0xCD9E8D57u);
  const auto product = [&](V a, V b) HWY_ATTR { return hn::MulEven(hn::BitCast(d32, a), hn::BitCast(d32, b)); };
  for (int64_t at = 0; at < blocks; at += lanes) {
    const V index = hn::Iota(d, static_cast<uint64_t>(first + at));
    V c0 = hn::And(index, low), c1 = hn::ShiftRight<32>(index);
    V c2 = hn::Set(d, uint64_t{dropout.site}), c3 = hn::Set(d, static_cast<uint64_t>(stream));
    uint32_t key0 = static_cast<uint32_t>(dropout.key), key1 = static_cast<uint32_t>(dropout.key >> 32);
    for (int round = 0; round < 10; ++round) {
      const V p0 = product(c0, mul0), p1 = product(c2, mul1);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, uint64_t{key0}));
      c1 = hn::And(p1, low);
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, uint64_t{key1}));
      c3 = hn::And(p0, low);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    const V words01 = hn::Or(c0, hn::ShiftLeft<32>(c1)), words23 = hn::Or(c2, hn::ShiftLeft<32>(c3));
    hn::StoreInterleaved2(words01, words23, d, reinterpret_cast<uint64_t*>(out) + 2 * at);
  }
#endif
}

/// The numbers of `count` elements from element `first` on, wherever blocks begin.
class DropoutRow {
 public:
  explicit DropoutRow(const Dropout& dropout, int64_t longest)
      : dropout_(dropout), numbers_({dropout.active() ? longest / 2 + 128 : 1}, DType::kF32) {}

  void start(int64_t first, int64_t count) {
    if (!dropout_.active()) return;
    const int64_t block = first / 8;
    uint16_t* numbers = static_cast<uint16_t*>(numbers_.raw());
    fill_random16(dropout_, block, (first + count + 7) / 8 - block, numbers);
    at_ = numbers + first % 8;
  }
  /// 0 or the scale, for the elements `at` … of the row.
  HWY_INLINE hn::Vec<F32> factor(int64_t at) const {
    const F32 d;
    const hn::RebindToUnsigned<F32> du;
    const hn::Rebind<uint16_t, F32> d16;
    const auto number = hn::PromoteTo(du, hn::LoadU(d16, at_ + at));
    const auto kept = hn::Not(hn::Lt(number, hn::Set(du, dropout_.threshold)));
    return hn::IfThenElseZero(hn::RebindMask(d, kept), hn::Set(d, static_cast<float>(dropout_.scale())));
  }
  bool active() const { return dropout_.active(); }

 private:
  Dropout dropout_;
  Tensor numbers_;
  const uint16_t* at_ = nullptr;
};

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#endif
