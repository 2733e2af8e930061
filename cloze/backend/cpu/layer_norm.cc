#include <cmath>

#include "cloze/backend/cpu/kernels.h"
#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/layer_norm.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/dropout-inl.h"
#include "cloze/backend/cpu/row-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

constexpr int64_t kRowGrain = 16;

void add_layer_norm_rows(const AddLayerNormArgs& args, int64_t begin, int64_t end) {
  const F32 d;
  const int64_t h = args.x.shape()[1];
  const float *gamma = args.gamma.data<float>(), *beta = args.beta.data<float>();
  DropoutRow random(args.dropout, h);
  for (int64_t t = begin; t < end; ++t) {
    const float* x = args.x.data<float>() + t * h;
    const float* residual = args.residual.defined() ? args.residual.data<float>() + t * h : nullptr;
    float* y = args.y.data<float>() + t * h;
    float* sum = args.sum.defined() ? args.sum.data<float>() + t * h : y;
    random.start(t * h, h);
    auto total = hn::Zero(d);
    for_row(h, [&](int64_t at, auto step) HWY_ATTR {
      auto v = step.load(x + at);
      if (random.active()) v = hn::Mul(v, random.factor(at));
      if (residual != nullptr) v = hn::Add(v, step.load(residual + at));
      step.store(v, sum + at);
      total = hn::Add(total, step.keep(v));
    });
    const float mean = row_sum(total) / static_cast<float>(h);
    const auto mean_v = hn::Set(d, mean);
    auto squares = hn::Zero(d);
    for_row(h, [&](int64_t at, auto step) HWY_ATTR {
      const auto centered = step.keep(hn::Sub(step.load(sum + at), mean_v));
      squares = hn::MulAdd(centered, centered, squares);
    });
    const float variance = row_sum(squares) / static_cast<float>(h);
    const float rstd = 1.0f / std::sqrt(variance + static_cast<float>(args.eps));
    const auto rstd_v = hn::Set(d, rstd);
    for_row(h, [&](int64_t at, auto step) HWY_ATTR {
      const auto xhat = hn::Mul(hn::Sub(step.load(sum + at), mean_v), rstd_v);
      step.store(hn::MulAdd(xhat, step.load(gamma + at), step.load(beta + at)), y + at);
    });
    if (args.mean.defined()) args.mean.data<float>()[t] = mean;
    if (args.rstd.defined()) args.rstd.data<float>()[t] = rstd;
  }
}

/// Rows [begin, end); their share of dgamma and dbeta goes to `partial` [2,H].
void add_layer_norm_backward_rows(const AddLayerNormBackwardArgs& args, int64_t begin, int64_t end, float* partial) {
  const F32 d;
  const int64_t h = args.sum.shape()[1];
  const float* gamma = args.gamma.data<float>();
  float *dgamma = partial, *dbeta = partial + h;
  std::fill_n(partial, 2 * h, 0.0f);
  DropoutRow random(args.dropout, h);
  for (int64_t t = begin; t < end; ++t) {
    const float *sum = args.sum.data<float>() + t * h, *dy = args.dy.data<float>() + t * h;
    const auto mean = hn::Set(d, args.mean.data<float>()[t]), rstd = hn::Set(d, args.rstd.data<float>()[t]);
    auto total_g = hn::Zero(d), total_gx = hn::Zero(d);
    for_row(h, [&](int64_t at, auto step) HWY_ATTR {
      const auto gradient = step.load(dy + at);
      const auto xhat = step.keep(hn::Mul(hn::Sub(step.load(sum + at), mean), rstd));
      const auto g = hn::Mul(gradient, step.load(gamma + at));
      total_g = hn::Add(total_g, g);
      total_gx = hn::MulAdd(g, xhat, total_gx);
      step.store(hn::MulAdd(gradient, xhat, step.load(dgamma + at)), dgamma + at);
      step.store(hn::Add(step.load(dbeta + at), gradient), dbeta + at);
    });
    const auto mean_g = hn::Set(d, row_sum(total_g) / static_cast<float>(h));
    const auto mean_gx = hn::Set(d, row_sum(total_gx) / static_cast<float>(h));
    float* dx = args.dx.defined() ? args.dx.data<float>() + t * h : nullptr;
    float* dresidual = args.dresidual.defined() ? args.dresidual.data<float>() + t * h : nullptr;
    if (dx == nullptr && dresidual == nullptr) continue;
    random.start(t * h, h);
    for_row(h, [&](int64_t at, auto step) HWY_ATTR {
      const auto xhat = hn::Mul(hn::Sub(step.load(sum + at), mean), rstd);
      const auto g = hn::Mul(step.load(dy + at), step.load(gamma + at));
      const auto dsum = hn::Mul(rstd, hn::NegMulAdd(xhat, mean_gx, hn::Sub(g, mean_g)));
      if (dresidual != nullptr) step.store(dsum, dresidual + at);
      if (dx != nullptr) step.store(random.active() ? hn::Mul(dsum, random.factor(at)) : dsum, dx + at);
    });
  }
}

void add_layer_norm_here(const AddLayerNormArgs& args) {
  thread_team().for_ranges(args.x.shape()[0], kRowGrain,
                           [&](int64_t begin, int64_t end) { add_layer_norm_rows(args, begin, end); });
}

void add_layer_norm_backward_here(const AddLayerNormBackwardArgs& args) {
  if (!args.sum.defined())
    return cpu::column_sums(args.dy.data<float>(), args.dy.shape()[0], args.dy.shape()[1], args.dbeta.data<float>());
  // Blocks of a fixed count of rows, added up in their order: the sums do not depend on the threads.
  constexpr int64_t kBlock = 64;
  const int64_t tokens = args.sum.shape()[0], h = args.sum.shape()[1];
  const int64_t blocks = (tokens + kBlock - 1) / kBlock;
  const Tensor partial({std::max<int64_t>(blocks, 1) * 2 * h}, DType::kF32);
  thread_team().for_ranges(blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b)
      add_layer_norm_backward_rows(args, b * kBlock, std::min(tokens, (b + 1) * kBlock),
                                   partial.data<float>() + b * 2 * h);
  });
  const Tensor sums({2 * h}, DType::kF32);
  cpu::column_sums(partial.data<float>(), blocks, 2 * h, sums.data<float>());
  if (args.dgamma.defined()) std::copy_n(sums.data<float>(), h, args.dgamma.data<float>());
  if (args.dbeta.defined()) std::copy_n(sums.data<float>() + h, h, args.dbeta.data<float>());
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(add_layer_norm_here);
HWY_EXPORT(add_layer_norm_backward_here);

namespace cpu {
void add_layer_norm(const AddLayerNormArgs& args) {
  HWY_DYNAMIC_DISPATCH(add_layer_norm_here)(args);
}
void add_layer_norm_backward(const AddLayerNormBackwardArgs& args) {
  HWY_DYNAMIC_DISPATCH(add_layer_norm_backward_here)(args);
}
}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
