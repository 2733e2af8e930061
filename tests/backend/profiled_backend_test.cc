// The decorator: the same bits as without it, and what it books for small calls, by hand.
#include "cloze/backend/profiled_backend.h"

#include <gtest/gtest.h>

#include <cstring>

#include "cases.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze::test {
namespace {

double seconds_now = 0;
double test_clock() {
  return seconds_now;
}

/// Every product takes two seconds.
class SlowProducts : public RefBackend {
 public:
  void linear(const LinearArgs& args) const override {
    RefBackend::linear(args);
    seconds_now += 2;
  }
};

Tensor floats(const Shape& shape) {
  return Tensor::full(shape, DType::kF32, 1);
}

/// The one row that the calls have made.
ProfileReport::Operation only_row(const Profile& profile) {
  const ProfileReport report = profile.report();
  EXPECT_EQ(report.operations.size(), 1u);
  return report.operations.at(0);
}

TEST(ProfiledBackend, EveryKernelIsForwardedWithTheSameBits) {
  constexpr Setting kPlain{DType::kF32, Saved::kRounded, Placement::kPlain};
  for (const Case& one : all_cases()) {
    if (one.flops > 2e5) continue;
    Profile profile;
    const auto profiled = profiled_backend(cpu_backend(), profile);
    const Call expected = one.make(kPlain), got = one.make(kPlain);
    expected.run(cpu_backend());
    got.run(*profiled);
    for (size_t i = 0; i < expected.outputs.size(); ++i) {
      const Tensor &a = expected.outputs[i].value, &b = got.outputs[i].value;
      EXPECT_TRUE(a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0)
          << one.kernel << " " << one.name;
    }
    const std::string kernel = one.kernel == "dropout_backward" ? "dropout" : one.kernel;  // the same call
    bool booked = false;
    for (const auto& row : profile.report().operations)
      booked = booked || (row.name.substr(0, row.name.find(' ')) == kernel && row.work.calls > 0);
    EXPECT_TRUE(booked) << one.kernel << " " << one.name;
  }
  Profile profile;
  EXPECT_STREQ(profiled_backend(cpu_backend(), profile)->name(), cpu_backend().name());
}

TEST(ProfiledBackend, AProduct) {
  seconds_now = 0;
  Profile profile(test_clock);
  const SlowProducts slow;
  const auto profiled = profiled_backend(slow, profile);
  LinearArgs args{.x = floats({5, 2}),
                  .weight = floats({3, 2}),
                  .bias = floats({3}),
                  .activation = Activation::kGelu,
                  .prepared = nullptr,
                  .pre = {},
                  .y = floats({5, 3})};
  profiled->linear(args);
  auto row = only_row(profile);
  EXPECT_EQ(row.name, "linear 2x3") << "inputs x outputs";
  EXPECT_EQ(row.work.calls, 1);
  EXPECT_EQ(row.work.seconds, 2);
  EXPECT_EQ(row.work.bytes, 4 * (10 + 6 + 3 + 15));
  EXPECT_EQ(row.work.flops, 2 * 5 * 2 * 3);
  args.pre = floats({5, 3});
  profiled->linear(args);
  row = only_row(profile);
  EXPECT_EQ(row.work.calls, 2);
  EXPECT_EQ(row.work.seconds, 4);
  EXPECT_EQ(row.work.bytes, 4 * (2 * 34 + 15));
  args.x = floats({5, 4});
  args.weight = floats({3, 4});
  profiled->linear(args);
  EXPECT_EQ(profile.report().operations.size(), 2u) << "another shape is another row";
}

TEST(ProfiledBackend, AProductsBackwardCountsWhatIsWanted) {
  LinearBackwardArgs args{.x = floats({5, 2}),
                          .weight = floats({3, 2}),
                          .pre = {},
                          .dy = floats({5, 3}),
                          .activation = Activation::kNone,
                          .dx = floats({5, 2}),
                          .dweight = floats({3, 2}),
                          .dbias = floats({3})};
  {
    Profile profile;
    profiled_backend(ref_backend(), profile)->linear_backward(args);
    const auto row = only_row(profile);
    EXPECT_EQ(row.name, "linear_backward 2x3");
    EXPECT_EQ(row.work.bytes, 4 * (10 + 6 + 15 + 10 + 6 + 3));
    EXPECT_EQ(row.work.flops, 2 * 60);
  }
  Profile profile;
  args.dx = Tensor();
  profiled_backend(ref_backend(), profile)->linear_backward(args);
  const auto row = only_row(profile);
  EXPECT_EQ(row.work.bytes, 4 * (10 + 15 + 6 + 3)) << "the weight is not read";
  EXPECT_EQ(row.work.flops, 60);
}

TEST(ProfiledBackend, AttentionOfTwoSequences) {
  Profile profile;
  profiled_backend(ref_backend(), profile)
      ->attention({.q = floats({5, 4}),
                   .k = floats({5, 4}),
                   .v = floats({5, 4}),
                   .offsets = Tensor::of<int32_t>({3}, {0, 2, 5}),
                   .heads = 2,
                   .scale = 1,
                   .dropout = {},
                   .y = floats({5, 4}),
                   .lse = {}});
  const auto row = only_row(profile);
  EXPECT_EQ(row.name, "attention");
  EXPECT_EQ(row.work.bytes, 4 * (4 * 20 + 3));
  EXPECT_EQ(row.work.flops, 4 * (2 * 2 + 3 * 3) * 4);
}

TEST(ProfiledBackend, AttentionsBackwardDoesNotCountScoresComputedAgain) {
  Profile profile;
  const Tensor x = floats({5, 4});
  profiled_backend(ref_backend(), profile)
      ->attention_backward({.q = x,
                            .k = x,
                            .v = x,
                            .offsets = Tensor::of<int32_t>({3}, {0, 2, 5}),
                            .y = x,
                            .lse = floats({5, 2}),
                            .dy = x,
                            .heads = 2,
                            .scale = 1,
                            .dropout = {},
                            .dq = floats({5, 4}),
                            .dk = floats({5, 4}),
                            .dv = floats({5, 4})});
  const auto row = only_row(profile);
  EXPECT_EQ(row.work.bytes, 4 * (8 * 20 + 10 + 3));
  EXPECT_EQ(row.work.flops, 8 * (2 * 2 + 3 * 3) * 4);
}

TEST(ProfiledBackend, OfEmbeddingTablesOnlyTheRowsReadCount) {
  Profile profile;
  const Tensor ids = Tensor::of<int32_t>({2}, {0, 1});
  profiled_backend(ref_backend(), profile)
      ->embed({.ids = ids,
               .positions = ids,
               .segments = ids,
               .word = floats({1000, 4}),
               .position = floats({500, 4}),
               .segment = floats({2, 4}),
               .y = floats({2, 4})});
  EXPECT_EQ(only_row(profile).work.bytes, 4 * (3 * 2 + 4 * 8));
}

TEST(ProfiledBackend, WhatIsChangedInPlaceCountsTwice) {
  Profile profile;
  const auto profiled = profiled_backend(ref_backend(), profile);
  profiled->adamw({.param = floats({6}),
                   .grad = floats({6}),
                   .m = floats({6}),
                   .v = floats({6}),
                   .grad_scale = 1,
                   .lr = 0,
                   .beta1 = 0.9,
                   .beta2 = 0.999,
                   .eps = 1e-8,
                   .decay = 0,
                   .step = 1});
  EXPECT_EQ(only_row(profile).work.bytes, 4 * 7 * 6);
  EXPECT_EQ(only_row(profile).work.flops, 0);
  EXPECT_EQ(profiled->sum_squares(floats({6})), 6);
}

TEST(ProfiledBackend, MeasuresItsOwnCost) {
  const ProfileCost cost = measure_profile_cost();
  EXPECT_GT(cost.call, 0);
  EXPECT_GT(cost.phase, 0);
}

}  // namespace
}  // namespace cloze::test
