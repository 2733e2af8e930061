// The whole trainer against PyTorch: outputs of all heads, every gradient, ten losses (docs: golden/make_golden.py).
#include "tests/model/oracle.h"

#include <cstdio>
#include <cstdlib>

#include "tests/model/model_testing.h"

namespace cloze {
namespace {

using test::Difference;
using test::OracleDifferences;
using test::worst;

struct Bounds {
  double outputs, gradients, losses, norms;
};

void print(const char* label, const std::vector<Difference>& differences) {
  const Difference most = worst(differences);
  std::printf("  %-16s %.2e  %s\n", label, most.value, most.what.c_str());
}

void expect_within(const OracleDifferences& found, const Bounds& bounds) {
  for (const Difference& d : found.outputs) EXPECT_LE(d.value, bounds.outputs) << d.what;
  for (const Difference& d : found.gradients) EXPECT_LE(d.value, bounds.gradients) << d.what;
  for (const Difference& d : found.head_gradients) EXPECT_LE(d.value, bounds.gradients) << d.what << " (heads)";
  for (const Difference& d : found.losses) EXPECT_LE(d.value, bounds.losses) << d.what;
  for (const Difference& d : found.norms) EXPECT_LE(d.value, bounds.norms) << d.what;
  print("outputs", found.outputs);
  print("gradients", found.gradients);
  print("gradients, heads", found.head_gradients);
  print("losses", found.losses);
  print("gradient norms", found.norms);
  std::printf("  %-16s %lld\n", "other best words", static_cast<long long>(found.argmax_differences));
}

const Path kGolden = Path(CLOZE_SOURCE_DIR) / "tests/model/golden";
// The contract is 1e-4, 1e-3 and 1e-4; so small a model must do better. The golden data come from f64.
constexpr Bounds kSingle = {.outputs = 1e-5, .gradients = 1e-5, .losses = 1e-5, .norms = 1e-5};
// The outputs and gradients were rounded to f32 when written, losses and norms were not.
constexpr Bounds kDouble = {.outputs = 1e-6, .gradients = 1e-7, .losses = 1e-12, .norms = 1e-12};

TEST(GoldenTest, CpuBackend) {
  const BackendScope scope(cpu_backend());
  const OracleDifferences found = test::compare_with_oracle(kGolden, DType::kF32);
  expect_within(found, kSingle);
  EXPECT_EQ(found.argmax_differences, 0);
}

TEST(GoldenTest, RefBackend) {
  const BackendScope scope(ref_backend());
  const OracleDifferences found = test::compare_with_oracle(kGolden, DType::kF32);
  expect_within(found, kSingle);
  EXPECT_EQ(found.argmax_differences, 0);
}

TEST(GoldenTest, RefBackendInDouble) {
  const BackendScope scope(ref_backend());
  const OracleDifferences found = test::compare_with_oracle(kGolden, DType::kF64);
  expect_within(found, kDouble);
  EXPECT_EQ(found.argmax_differences, 0);
}

TEST(OracleTest, LiveComparison) {
  const char* dir = std::getenv("CLOZE_ORACLE_DIR");
  if (dir == nullptr) GTEST_SKIP() << "no CLOZE_ORACLE_DIR in the environment; scripts/compare_oracle.sh sets it";
  expect_within(test::compare_with_oracle(dir, DType::kF32),
                {.outputs = 1e-4, .gradients = 1e-3, .losses = 1e-4, .norms = 1e-3});
}

}  // namespace
}  // namespace cloze
