#include <cmath>
#include <limits>
#include <vector>

#include "cloze/backend/cpu/kernels.h"
#include "cloze/base/thread_team.h"

// The order matters: simd_targets.h chooses the targets, foreach_target.h includes this file once for each.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cloze/backend/cpu/attention.cc"
#include "cloze/backend/cpu/simd_targets.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cloze/backend/cpu/dropout-inl.h"
#include "cloze/backend/cpu/microkernel-inl.h"
#include "cloze/backend/cpu/row-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

/// One head of one sequence: the queries from row `query` on, the keys from row `key` on, D columns from `column` on.
struct HeadSlice {
  int64_t query, queries, key, length, head, column;
};

/// Where a tensor's rows of one head begin.
float* rows_at(const ColumnView& x, int64_t row, const HeadSlice& s) {
  return x.data<float>() + row * x.row_stride() + s.column;
}

int64_t panels_of(int64_t n) {
  return (n + panel_width() - 1) / panel_width();
}
int64_t padded(int64_t n) {
  return panels_of(n) * panel_width();
}
/// Of rows of n scores: odd in vectors, so that rows do not fall into the same sets of a cache.
int64_t score_stride(int64_t n) {
  return padded(n) + panel_width() / 2;
}

Tensor scratch(int64_t elements) {
  return Tensor({std::max<int64_t>(elements, 1)}, DType::kF32);
}

/// row = softmax(scale row); returns log sum exp of the scaled scores.
HWY_INLINE float softmax_row(float* row, int64_t n, float scale) {
  const F32 d;
  const auto scale_v = hn::Set(d, scale);
  auto most = hn::Set(d, -std::numeric_limits<float>::infinity());
  for_row(n, [&](int64_t at, auto step) HWY_ATTR {
    const auto v = hn::Mul(step.load(row + at), scale_v);
    step.store(v, row + at);
    most = hn::Max(most, step.keep_or(v, most));
  });
  const float max = hn::GetLane(hn::MaxOfLanes(d, most));
  auto total = hn::Zero(d);
  for_row(n, [&](int64_t at, auto step) HWY_ATTR {
    const auto e = hn::Exp(d, hn::Sub(step.load(row + at), hn::Set(d, max)));
    step.store(e, row + at);
    total = hn::Add(total, step.keep(e));
  });
  const float sum = row_sum(total);
  const auto inverse = hn::Set(d, 1.0f / sum);
  for_row(n, [&](int64_t at, auto step) HWY_ATTR { step.store(hn::Mul(step.load(row + at), inverse), row + at); });
  return max + std::log(sum);
}

HWY_INLINE int64_t dropout_index(int64_t query, int64_t heads, int64_t head) {
  return (query * heads + head) * 65536;
}

struct Forward {
  const AttentionArgs& args;
  int64_t hidden, width, longest;
  Tensor keys, values, scores;
  DropoutRow random;

  Forward(const AttentionArgs& a, int64_t longest_sequence)
      : args(a),
        hidden(a.y.shape()[1]),
        width(hidden / a.heads),
        longest(longest_sequence),
        keys(scratch(padded(longest) * width)),
        values(scratch(padded(width) * longest)),
        scores(scratch(kTileRows * score_stride(longest))),
        random(a.dropout, longest) {}

  void head(const HeadSlice& s) {
    const int64_t stride = score_stride(s.length), q_stride = args.q.row_stride();
    pack_columns(rows_at(args.k, s.key, s), args.k.row_stride(), width, s.length, 0, panels_of(s.length),
                 keys.data<float>());
    pack_rows(rows_at(args.v, s.key, s), args.v.row_stride(), s.length, width, 0, panels_of(width),
              values.data<float>());
    float *p = scores.data<float>(), *y = rows_at(args.y, s.query, s);
    const float* q = rows_at(args.q, s.query, s);
    for (int64_t begin = 0; begin < s.queries; begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, s.queries - begin);
      cloze::HWY_NAMESPACE::multiply(rows, width, s.length, {q + begin * q_stride, q_stride, 1}, keys.data<float>(), 0,
                                     panels_of(s.length), p, stride, Epilogue{});
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t query = s.query + begin + r;
        const float lse = softmax_row(p + r * stride, s.length, static_cast<float>(args.scale));
        if (args.lse.defined()) args.lse.data<float>()[query * args.heads + s.head] = lse;
        if (!random.active()) continue;
        random.start(dropout_index(query, args.heads, s.head), s.length);
        float* row = p + r * stride;
        for_row(s.length, [&](int64_t j, auto step)
                              HWY_ATTR { step.store(hn::Mul(step.load(row + j), random.factor(j)), row + j); });
      }
      cloze::HWY_NAMESPACE::multiply(rows, s.length, width, {p, stride, 1}, values.data<float>(), 0, panels_of(width),
                                     y + begin * hidden, hidden, Epilogue{});
    }
  }
};

struct Backward {
  static constexpr int64_t kBlock = 4 * kTileRows;  ///< queries at a time
  const AttentionBackwardArgs& args;
  int64_t hidden, width, longest;
  Tensor keys, values, keys_plain, queries, gradients, p, ds;
  DropoutRow random;

  Backward(const AttentionBackwardArgs& a, int64_t longest_sequence)
      : args(a),
        hidden(a.dy.shape()[1]),
        width(hidden / a.heads),
        longest(longest_sequence),
        keys(scratch(padded(longest) * width)),
        values(scratch(padded(longest) * width)),
        keys_plain(scratch(padded(width) * longest)),
        queries(scratch(padded(width) * kBlock)),
        gradients(scratch(padded(width) * kBlock)),
        p(scratch(kBlock * score_stride(longest))),
        ds(scratch(kBlock * score_stride(longest))),
        random(a.dropout, longest) {}

  /// From scores in p and dy.v in ds: p becomes dropout(P), ds becomes scale P (dropout'(ds) - D).
  void probabilities(const HeadSlice& s, int64_t begin, int64_t rows, int64_t stride) {
    const F32 d;
    const auto scale = hn::Set(d, static_cast<float>(args.scale));
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t query = s.query + begin + r;
      const auto lse = hn::Set(d, args.lse.data<float>()[query * args.heads + s.head]);
      const auto delta = hn::Set(d, row_dot(rows_at(args.dy, query, s), rows_at(args.y, query, s), width));
      float *p_row = p.data<float>() + r * stride, *ds_row = ds.data<float>() + r * stride;
      random.start(dropout_index(query, args.heads, s.head), s.length);
      for_row(s.length, [&](int64_t j, auto step) HWY_ATTR {
        const auto probability = hn::Exp(d, hn::MulSub(step.load(p_row + j), scale, lse));
        const auto factor = random.active() ? random.factor(j) : hn::Set(d, 1.0f);
        const auto dp = hn::Mul(step.load(ds_row + j), factor);
        step.store(hn::Mul(hn::Mul(probability, hn::Sub(dp, delta)), scale), ds_row + j);
        step.store(hn::Mul(probability, factor), p_row + j);
      });
    }
  }

  void head(const HeadSlice& s) {
    using cloze::HWY_NAMESPACE::multiply;
    const int64_t stride = score_stride(s.length), q_stride = args.q.row_stride();
    const int64_t key_panels = panels_of(s.length), width_panels = panels_of(width);
    const float *k = rows_at(args.k, s.key, s), *v = rows_at(args.v, s.key, s);
    pack_columns(k, args.k.row_stride(), width, s.length, 0, key_panels, keys.data<float>());
    pack_columns(v, args.v.row_stride(), width, s.length, 0, key_panels, values.data<float>());
    pack_rows(k, args.k.row_stride(), s.length, width, 0, width_panels, keys_plain.data<float>());
    for (int64_t begin = 0; begin == 0 || begin < s.queries; begin += kBlock) {
      const int64_t rows = std::min(kBlock, s.queries - begin), first = s.query + begin;
      const float *q = rows_at(args.q, first, s), *dy = rows_at(args.dy, first, s);
      float *p_data = p.data<float>(), *ds_data = ds.data<float>();
      multiply(rows, width, s.length, {q, q_stride, 1}, keys.data<float>(), 0, key_panels, p_data, stride, Epilogue{});
      multiply(rows, width, s.length, {dy, hidden, 1}, values.data<float>(), 0, key_panels, ds_data, stride,
               Epilogue{});
      probabilities(s, begin, rows, stride);
      multiply(rows, s.length, width, {ds_data, stride, 1}, keys_plain.data<float>(), 0, width_panels,
               rows_at(args.dq, first, s), args.dq.row_stride(), Epilogue{});
      pack_rows(q, q_stride, rows, width, 0, width_panels, queries.data<float>());
      pack_rows(dy, hidden, rows, width, 0, width_panels, gradients.data<float>());
      const Epilogue add{.accumulate = begin > 0};
      multiply(s.length, rows, width, {ds_data, 1, stride}, queries.data<float>(), 0, width_panels,
               rows_at(args.dk, s.key, s), args.dk.row_stride(), add);
      multiply(s.length, rows, width, {p_data, 1, stride}, gradients.data<float>(), 0, width_panels,
               rows_at(args.dv, s.key, s), args.dv.row_stride(), add);
    }
  }
};

/// Spreads all heads of all sequences over the team, each thread a run of about equal cost; `hidden` columns in all.
template <class Work, class Args>
void for_heads(const Args& args, int64_t hidden) {
  const int32_t *keys = args.offsets.template data<int32_t>(), *queries = args.queries().template data<int32_t>();
  const int64_t sequences = args.offsets.elements() - 1, heads = args.heads;
  const int64_t width = hidden / heads;
  int64_t longest = 0;
  std::vector<double> cost(static_cast<size_t>(sequences * heads) + 1, 0.0);
  for (int64_t b = 0; b < sequences; ++b) {
    const int64_t length = keys[b + 1] - keys[b], asking = queries[b + 1] - queries[b];
    longest = std::max(longest, length);
    for (int64_t n = 0; n < heads; ++n) {
      const size_t i = static_cast<size_t>(b * heads + n);
      cost[i + 1] = cost[i] + static_cast<double>(length) * static_cast<double>(asking + 64);
    }
  }
  if (longest == 0) return;
  const auto serve = [&](double from, double to) HWY_ATTR {
    Work work(args, longest);
    for (int64_t i = 0; i < sequences * heads; ++i) {
      const double begin = cost[static_cast<size_t>(i)];
      if (begin < from || begin >= to) continue;
      const int64_t b = i / heads, n = i % heads;
      if (keys[b + 1] > keys[b])
        work.head({queries[b], queries[b + 1] - queries[b], keys[b], keys[b + 1] - keys[b], n, n * width});
    }
  };
  constexpr double kWorthATeam = 1 << 12;
  if (cost.back() * static_cast<double>(width) < kWorthATeam * 16) return serve(0, cost.back());
  thread_team().run(
      [&](int worker, int workers) { serve(cost.back() * worker / workers, cost.back() * (worker + 1) / workers); });
}

void attention_here(const AttentionArgs& args) {
  for_heads<Forward>(args, args.y.shape()[1]);
}
void attention_backward_here(const AttentionBackwardArgs& args) {
  for_heads<Backward>(args, args.dy.shape()[1]);
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cloze {
HWY_EXPORT(attention_here);
HWY_EXPORT(attention_backward_here);

namespace cpu {
void attention(const AttentionArgs& args) {
  HWY_DYNAMIC_DISPATCH(attention_here)(args);
}
void attention_backward(const AttentionBackwardArgs& args) {
  HWY_DYNAMIC_DISPATCH(attention_backward_here)(args);
}
}  // namespace cpu
}  // namespace cloze
#endif  // HWY_ONCE
