// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A number is a pure function of (seed, stream, index), so no result depends on thread order.
#pragma once

#include <array>
#include <cstdint>

namespace cloze {

/// What a stream of numbers is for. Streams never overlap; each use of randomness has its own.
enum class RandomStream : uint32_t {
  kInit = 1,
  kShuffle = 2,
  kDropout = 3,
  kMask = 4,
  kData = 5,
  kTest = 6,
  kShuffleBatches = 7,
  kRounding = 8
};

/// Four 32-bit words: block `index` of stream (`stream`, `substream`) under `seed`.
inline std::array<uint32_t, 4> philox(uint64_t seed, uint32_t stream, uint32_t substream, uint64_t index) {
  std::array<uint32_t, 4> counter = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), substream,
                                     stream};
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0], p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(p0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// A sequential reader of one stream. Its whole state is (seed, stream, substream, position).
class Rng {
 public:
  Rng(uint64_t seed, RandomStream stream, uint32_t substream = 0)
      : seed_(seed), stream_(static_cast<uint32_t>(stream)), substream_(substream) {}

  uint32_t next_u32() {
    const uint64_t at = position_++;
    if (at % 4 == 0 || !filled_) {
      block_ = philox(seed_, stream_, substream_, at / 4);
      filled_ = true;
    }
    return block_[at % 4];
  }
  uint64_t next_u64() {
    const uint64_t high = next_u32();
    return high << 32 | next_u32();
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }
  /// Uniform integer in [0, n), n > 0, without bias (Lemire's multiply-shift with rejection).
  uint64_t below(uint64_t n);
  /// Standard normal (Box-Muller, one value a call).
  double normal();

 private:
  uint64_t seed_;
  uint32_t stream_, substream_;
  uint64_t position_ = 0;
  std::array<uint32_t, 4> block_{};
  bool filled_ = false;
};

}  // namespace cloze
