#include "cloze/base/rng.h"

#include <cmath>
#include <set>
#include <vector>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using Block = std::array<uint32_t, 4>;

TEST(PhiloxTest, KnownAnswers) {
  // kat_vectors of Random123: philox4x32, 10 rounds. Counter {index low, index high, substream, stream}, key {seed low,
  // high}.
  EXPECT_EQ(philox(0, 0, 0, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~uint64_t{0}, ~uint32_t{0}, ~uint32_t{0}, ~uint64_t{0}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x03707344, 0x13198a2e, 0x85a308d3243f6a88),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RngTest, ReadsBlocksInOrder) {
  Rng rng(42, RandomStream::kDropout, 3);
  for (uint64_t block = 0; block < 5; ++block) {
    const Block expected = philox(42, static_cast<uint32_t>(RandomStream::kDropout), 3, block);
    for (const uint32_t word : expected) EXPECT_EQ(rng.next_u32(), word);
  }
  Rng pairs(42, RandomStream::kDropout, 3);
  const Block first = philox(42, static_cast<uint32_t>(RandomStream::kDropout), 3, 0);
  EXPECT_EQ(pairs.next_u64(), uint64_t{first[0]} << 32 | first[1]);
}

TEST(RngTest, StreamsDiffer) {
  std::set<uint64_t> firsts;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (uint32_t stream = 1; stream <= 6; ++stream) {
      for (uint32_t substream = 0; substream < 4; ++substream) {
        firsts.insert(Rng(seed, static_cast<RandomStream>(stream), substream).next_u64());
      }
    }
  }
  EXPECT_EQ(firsts.size(), 4u * 6 * 4);
}

TEST(RngTest, UniformLiesInTheUnitInterval) {
  Rng rng(1, RandomStream::kTest);
  double sum = 0, squares = 0, least = 1, most = 0;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = rng.uniform();
    least = std::min(least, u);
    most = std::max(most, u);
    sum += u;
    squares += u * u;
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_LT(least, 1e-4);
  EXPECT_GT(most, 1 - 1e-4);
  EXPECT_NEAR(sum / kDraws, 0.5, 0.003);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 0.003);
}

TEST(RngTest, BelowIsUniform) {
  Rng rng(2, RandomStream::kTest);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts.at(rng.below(7));
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 10000.0) * (count - 10000.0) / 10000;
  EXPECT_LT(chi_square, 22.5);  // 6 degrees of freedom, p = 0.001
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.below(1), 0u);
  // Without rejection, thirds of a range of 3 * 2^62 would get 1/2, 1/4 and 1/4.
  const uint64_t third = uint64_t{1} << 62;
  std::vector<int> thirds(3);
  for (int i = 0; i < 30000; ++i) ++thirds.at(rng.below(3 * third) / third);
  for (const int count : thirds) EXPECT_NEAR(count, 10000, 400);
}

TEST(RngTest, NormalHasItsMoments) {
  Rng rng(3, RandomStream::kTest);
  constexpr int kDraws = 200000;
  double sum = 0, squares = 0, fourths = 0;
  int beyond_two = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
    beyond_two += std::abs(x) > 2 ? 1 : 0;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
  EXPECT_NEAR(fourths / kDraws, 3, 0.15);
  EXPECT_NEAR(beyond_two / double{kDraws}, 0.0455, 0.002);
}

}  // namespace
}  // namespace cloze
