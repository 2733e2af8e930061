#include "cloze/ops/linear_distillation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/thread_team.h"
#include "cloze/ops/chunked_loss.h"

namespace cloze {
namespace {

/// log sum exp of x[V], of which p is the softmax: by the largest, where p is not rounded away.
template <class Real>
double log_sum_exp(const Real* x, const Real* p, int64_t V) {
  const int64_t at = std::max_element(p, p + V) - p;
  return static_cast<double>(x[at]) - std::log(static_cast<double>(p[at]));
}

/// sum_c q_c ((u_c - log_u) - (z_c - log_z)) = KL(q || s): in lanes, so that compilers vectorise it.
template <class Real>
double divergence(const Real* q, const Real* u, double log_u, const Real* z, double log_z, int64_t V) {
  constexpr int64_t kLanes = 8;
  double lanes[kLanes] = {};
  const auto part = [&](int64_t c) {
    return static_cast<double>(q[c]) * ((static_cast<double>(u[c]) - log_u) - (static_cast<double>(z[c]) - log_z));
  };
  int64_t c = 0;
  for (; c + kLanes <= V; c += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += part(c + lane);
  for (; c < V; ++c) lanes[0] += part(c);
  return std::accumulate(lanes, lanes + kLanes, 0.0);
}

/// The chunk's rows on the team, each by itself, so that the bits do not depend on the threads.
template <class Work>
void for_counted(const LossChunk& chunk, const Work& work) {
  constexpr int64_t kGrainElements = 1 << 13;
  const int64_t V = chunk.logits.shape()[1];
  thread_team().for_ranges(chunk.logits.shape()[0], std::max<int64_t>(1, kGrainElements / V),
                           [&](int64_t begin, int64_t end) {
                             for (int64_t r = begin; r < end; ++r)
                               if (chunk.targets.data<int32_t>()[r] >= 0) work(r);
                           });
}

/// y = keep y + factor x of V elements.
template <class Real>
void mix(Real* y, double keep, const Real* x, double factor, int64_t V) {
  const Real k = static_cast<Real>(keep), f = static_cast<Real>(factor);
  for (int64_t c = 0; c < V; ++c) y[c] = k * y[c] + f * x[c];
}

/// Both logits over T, z and u; q and s are never there together: one tensor holds s first, then q.
template <class Real>
double add_distances(const LossChunk& chunk, const Tensor& taught, double share, double temperature) {
  const int64_t n = chunk.logits.shape()[0], V = chunk.logits.shape()[1];
  for (const Tensor& logits : {chunk.logits, taught})
    if (temperature != 1) backend().scale({.x = logits, .factor = 1 / temperature});
  const Real *z = chunk.logits.data<Real>(), *u = taught.data<Real>();
  const Tensor softmaxes(chunk.logits.shape(), chunk.logits.dtype());
  const Real* p = softmaxes.data<Real>();
  Real* dlogits = chunk.dlogits.defined() ? chunk.dlogits.data<Real>() : nullptr;
  const double factor = share * temperature / static_cast<double>(chunk.counted);
  std::vector<double> own(static_cast<size_t>(n)), distances(static_cast<size_t>(n));
  backend().softmax({.x = chunk.logits, .y = softmaxes});
  for_counted(chunk, [&](int64_t r) {
    own[static_cast<size_t>(r)] = log_sum_exp(z + r * V, p + r * V, V);
    if (dlogits != nullptr) mix(dlogits + r * V, 1 - share, p + r * V, factor, V);
  });
  backend().softmax({.x = taught, .y = softmaxes});
  for_counted(chunk, [&](int64_t r) {
    const Real* q = p + r * V;
    distances[static_cast<size_t>(r)] =
        divergence(q, u + r * V, log_sum_exp(u + r * V, q, V), z + r * V, own[static_cast<size_t>(r)], V);
    if (dlogits != nullptr) mix(dlogits + r * V, 1, q, -factor, V);
  });
  return temperature * temperature * std::accumulate(distances.begin(), distances.end(), 0.0);
}

}  // namespace

// With n counted rows: d(share T^2 / n KL(q || s)) / dlogits = share T / n (s - q).
Var linear_distillation(const Var& x, const Var& weight, const Var& bias, const Tensor& targets,
                        const TaughtRows& taught, Precision training, DistillationStatistics* statistics,
                        int64_t chunk_rows) {
  CLOZE_CHECK(taught.share >= 0 && taught.share <= 1 && taught.temperature > 0, ErrorCode::kValue,
              "[linear_distillation] share must be 0 to 1 and temperature above 0, got {} and {}", taught.share,
              taught.temperature);
  SecondLoss second{
      .share = taught.share, .add = [&](const LossChunk& chunk) {
        const NoGrad no_grad;
        const Tensor logits = taught.logits(chunk.begin, chunk.begin + chunk.logits.shape()[0]);
        CLOZE_CHECK(logits.shape() == chunk.logits.shape() && logits.dtype() == chunk.logits.dtype(), ErrorCode::kShape,
                    "[linear_distillation] the teacher's logits must be {} of {}, got {} of {}", chunk.logits.shape(),
                    dtype_name(chunk.logits.dtype()), logits.shape(), dtype_name(logits.dtype()));
        return logits.dtype() == DType::kF64 ? add_distances<double>(chunk, logits, taught.share, taught.temperature)
                                             : add_distances<float>(chunk, logits, taught.share, taught.temperature);
      }};
  const Var loss = chunked_loss(x, weight, bias, targets, training,
                                statistics != nullptr ? &statistics->words : nullptr, chunk_rows, &second);
  if (statistics != nullptr) statistics->distance_sum = second.sum;
  return loss;
}

}  // namespace cloze
