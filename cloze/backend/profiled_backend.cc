#include "cloze/backend/profiled_backend.h"

#include <algorithm>

#include "cloze/backend/int8.h"

namespace cloze {
namespace {

/// What a call is to be booked as.
struct Booking {
  double bytes = 0, flops = 0;
  int64_t inputs = 0, outputs = 0;
};

/// Bytes of all tensors given; undefined ones are absent.
template <class... Tensors>
double bytes(const Tensors&... tensors) {
  return static_cast<double>((tensors.bytes() + ... + 0));
}

double product_flops(int64_t tokens, int64_t inputs, int64_t outputs) {
  return 2.0 * static_cast<double>(tokens) * static_cast<double>(inputs) * static_cast<double>(outputs);
}

/// Sum over the sequences of queries x keys, times H: multiply-adds of one of attention's products.
double attention_products(int64_t hidden, const Tensor& queries, const Tensor& keys) {
  double pairs = 0;
  const auto q = queries.values<int32_t>(), k = keys.values<int32_t>();
  for (size_t b = 1; b < k.size(); ++b) pairs += static_cast<double>(q[b] - q[b - 1]) * (k[b] - k[b - 1]);
  return pairs * static_cast<double>(hidden);
}

/// Bytes of the H columns that attention reads or writes of q (or y), twice those of k and v.
double attention_bytes(int64_t hidden, const Tensor& queries, const Tensor& keys, const Tensor& value) {
  const double rows = queries.values<int32_t>().back() + 2.0 * keys.values<int32_t>().back();
  return rows * static_cast<double>(hidden * dtype_bytes(value.dtype()));
}

Booking book(const LinearArgs& a) {
  const int64_t tokens = a.x.shape()[0], inputs = a.x.shape()[1], outputs = a.y.shape()[1];
  const double weight = static_cast<double>(inputs * outputs * dtype_bytes(a.x.dtype()));
  return {bytes(a.x, a.bias, a.pre, a.y) + weight, product_flops(tokens, inputs, outputs), inputs, outputs};
}
Booking book(const LinearBackwardArgs& a) {
  const Tensor none;
  const Tensor &weight = a.dx.defined() ? a.weight : none, &x = a.dweight.defined() ? a.x : none;
  // Where the bias alone is wanted there is no product.
  const Tensor& wide = a.dx.defined() ? a.dx : a.dweight;
  const int64_t inputs = wide.defined() ? wide.shape()[1] : 0, outputs = a.dy.shape()[1];
  return {bytes(x, weight, a.pre, a.dy, a.dx, a.dweight, a.dbias),
          product_flops(a.dy.shape()[0], inputs, outputs) * (a.dx.defined() + a.dweight.defined()), inputs, outputs};
}
Booking book(const AttentionArgs& a) {
  const int64_t hidden = a.y.shape()[1];
  return {attention_bytes(hidden, a.queries(), a.offsets, a.y) + bytes(a.offsets, a.y, a.lse),
          4 * attention_products(hidden, a.queries(), a.offsets)};
}
Booking book(const AttentionBackwardArgs& a) {
  const int64_t hidden = a.dy.shape()[1];
  return {2 * attention_bytes(hidden, a.queries(), a.offsets, a.dy) + bytes(a.offsets, a.y, a.lse, a.dy),
          8 * attention_products(hidden, a.queries(), a.offsets)};
}
Booking book(const AddLayerNormArgs& a) {
  return {bytes(a.x, a.residual, a.gamma, a.beta, a.sum, a.mean, a.rstd, a.y)};
}
Booking book(const AddLayerNormBackwardArgs& a) {
  return {bytes(a.sum, a.mean, a.rstd, a.gamma, a.dy, a.dx, a.dresidual, a.dgamma, a.dbeta)};
}
Booking book(const EmbedArgs& a) {
  return {bytes(a.ids, a.positions, a.segments) + 4 * bytes(a.y)};
}
Booking book(const EmbedBackwardArgs& a) {
  const int tables = a.dword.defined() + a.dposition.defined() + a.dsegment.defined();
  return {bytes(a.ids, a.positions, a.segments) + (1 + 2 * tables) * bytes(a.dy)};
}
Booking book(const DropoutArgs& a) {
  return {bytes(a.x, a.y)};
}
Booking book(const GatherRowsArgs& a) {
  return {bytes(a.rows) + 2 * bytes(a.y)};
}
Booking book(const GatherRowsBackwardArgs& a) {
  return {bytes(a.rows, a.dy, a.dx)};
}
Booking book(const CrossEntropyArgs& a) {
  return {bytes(a.logits, a.targets, a.class_weight, a.row_weight, a.loss, a.dlogits)};
}
Booking book(const SoftmaxArgs& a) {
  return {bytes(a.x, a.y)};
}
/// At most: a row that is up to date is not touched.
Booking book(const AdamWRowsArgs& a) {
  const double rows = static_cast<double>(a.rows.defined() ? a.rows.elements() : a.param.shape()[0]);
  const double share = rows / static_cast<double>(std::max<int64_t>(1, a.param.shape()[0]));
  return {bytes(a.done, a.rows, a.grad) + 2 * share * bytes(a.param, a.m, a.v)};
}
Booking book(const AdamWArgs& a) {
  return {bytes(a.grad) + 2 * bytes(a.param, a.m, a.v)};
}
Booking book(const AddIntoArgs& a) {
  return {bytes(a.x) + 2 * bytes(a.y)};
}
Booking book(const ScaleArgs& a) {
  return {2 * bytes(a.x)};
}

/// Books the time of its life.
class Timed {
 public:
  Timed(Profile& profile, std::string_view name, const Booking& booking)
      : profile_(profile),
        row_(profile.row({name, booking.inputs, booking.outputs})),
        bytes_(booking.bytes),
        flops_(booking.flops),
        begin_(profile.now()) {}
  ~Timed() { profile_.add(row_, {1, profile_.now() - begin_, bytes_, flops_}); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Profile& profile_;
  ProfileWork& row_;
  double bytes_, flops_, begin_;
};

class ProfiledBackend : public Backend {
 public:
  ProfiledBackend(const Backend& inner, Profile& profile) : inner_(inner), profile_(profile) {}
  const char* name() const override { return inner_.name(); }

  // One line a kernel; its book() stands above.
#define CLOZE_FORWARD(kernel, Args)                   \
  void kernel(const Args& args) const override {      \
    const Timed timed(profile_, #kernel, book(args)); \
    inner_.kernel(args);                              \
  }
  CLOZE_FORWARD(linear, LinearArgs)
  CLOZE_FORWARD(linear_backward, LinearBackwardArgs)
  CLOZE_FORWARD(attention, AttentionArgs)
  CLOZE_FORWARD(attention_backward, AttentionBackwardArgs)
  CLOZE_FORWARD(add_layer_norm, AddLayerNormArgs)
  CLOZE_FORWARD(add_layer_norm_backward, AddLayerNormBackwardArgs)
  CLOZE_FORWARD(embed, EmbedArgs)
  CLOZE_FORWARD(embed_backward, EmbedBackwardArgs)
  CLOZE_FORWARD(dropout, DropoutArgs)
  CLOZE_FORWARD(gather_rows, GatherRowsArgs)
  CLOZE_FORWARD(gather_rows_backward, GatherRowsBackwardArgs)
  CLOZE_FORWARD(cross_entropy, CrossEntropyArgs)
  CLOZE_FORWARD(softmax, SoftmaxArgs)
  CLOZE_FORWARD(adamw, AdamWArgs)
  CLOZE_FORWARD(adamw_rows, AdamWRowsArgs)
  CLOZE_FORWARD(add_into, AddIntoArgs)
  CLOZE_FORWARD(scale, ScaleArgs)
#undef CLOZE_FORWARD

  std::unique_ptr<PreparedWeight> prepare(const Tensor& weight, Precision precision) const override {
    const Timed timed(profile_, "prepare", {.bytes = 2 * bytes(weight)});
    return inner_.prepare(weight, precision);
  }
  std::unique_ptr<PreparedWeight> prepare(const CompactWeight& weight) const override {
    const Timed timed(profile_, "prepare", {.bytes = 2 * static_cast<double>(weight.shape().elements())});
    return inner_.prepare(weight);
  }
  double sum_squares(const Tensor& x) const override {
    const Timed timed(profile_, "sum_squares", {.bytes = bytes(x)});
    return inner_.sum_squares(x);
  }

 private:
  const Backend& inner_;
  Profile& profile_;
};

}  // namespace

std::unique_ptr<Backend> profiled_backend(const Backend& inner, Profile& profile) {
  return std::make_unique<ProfiledBackend>(inner, profile);
}

ProfileCost measure_profile_cost() {
  constexpr int kRounds = 8, kCalls = 512, kShapes = 16;
  Profile scratch;
  const ProfileScope scope(scratch);
  const Tensor x({1, 1}, DType::kF32);
  const LinearArgs args{
      .x = x, .weight = x, .bias = x, .activation = Activation::kNone, .prepared = nullptr, .pre = {}, .y = x};
  ProfileCost best{.call = 1, .phase = 1};
  for (int round = 0; round < kRounds; ++round) {  // the best one: others may have been interrupted
    const double begin = scratch.now();
    for (int i = 0; i < kCalls; ++i) {
      Booking booking = book(args);
      booking.inputs = i % kShapes;  // as many rows as a training run has, so that finding one takes as long
      const Timed timed(scratch, "linear", booking);
    }
    const double middle = scratch.now();
    for (int i = 0; i < kCalls; ++i) const ProfilePhase phase("forward");
    best.call = std::min(best.call, (middle - begin) / kCalls);
    best.phase = std::min(best.phase, (scratch.now() - middle) / kCalls);
  }
  return best;
}

}  // namespace cloze
