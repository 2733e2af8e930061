// The list of kernels and their arguments: the seam between what is computed and how.
//
// Dimensions: T tokens of the batch, B sequences, H hidden, N heads, D = H / N head width, F feed-forward,
// K inputs and M outputs of a linear layer, V vocabulary, P positions, C classes, R rows picked.
// Float tensors of one call share one dtype (f32 or f64); ids and offsets are I32. Outputs are allocated by the
// caller and overwritten unless "adds to" is said; they do not overlap inputs unless "in place" is said. Kernels trust
// their arguments: ops/ has checked them. An undefined Tensor means "not wanted" (outputs) or "absent" (inputs) where a
// line says so.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "cloze/tensor/tensor.h"

namespace cloze {

enum class Activation : uint8_t { kNone, kGelu, kGeluTanh, kRelu, kTanh };

/// Dropout by counter: element i is kept iff random16(key, site, i) >= threshold, and kept elements are scaled by
/// 1 / (1 - threshold / 65536). random16 is half-word i % 8 (low half first) of philox(key, kDropout, site, i / 8).
/// So the mask is a pure function of its place, forward and backward agree without storing it, and the
/// probability is a multiple of 1/65536.
struct Dropout {
  uint32_t threshold = 0;  ///< p * 65536, rounded; 0 = no dropout
  uint32_t site = 0;       ///< which dropout of the model
  uint64_t key = 0;        ///< from the run's seed and the step

  bool active() const { return threshold != 0; }
  double scale() const { return 65536.0 / (65536.0 - threshold); }
};

/// How a linear layer's products are computed. kInt8, in inference: weights and the input's rows as 8-bit integers, see
/// int8.h. kBF16, in training: operands rounded to bf16, sums in f32, see bf16.h.
enum class Precision : uint8_t { kF32, kInt8, kBF16 };

/// A weight laid out for a backend's forward product.
class PreparedWeight {
 public:
  virtual ~PreparedWeight() = default;
  Precision precision = Precision::kF32;
};

struct CompactWeight;  // compact.h

/// pre[T,M] = x[T,K] weight[M,K]^T + bias[M];  y[T,M] = activation(pre).
/// bias may be absent, prepared null; with it weight may be absent. Of precision kF32 it gives the same bits as the
/// weight. pre is not wanted in inference and where activation is kNone. precision is kF32 or kBF16, the latter of f32
/// without prepared; f64 is never rounded.
struct LinearArgs {
  Tensor x, weight, bias;
  Activation activation;
  const PreparedWeight* prepared;
  Tensor pre, y;
  Precision precision = Precision::kF32;
};
/// dpre = dy * activation'(pre);  dx = dpre weight;  dweight = dpre^T x;  dbias = column sums of dpre.
/// Each of dx, dweight, dbias may be unwanted; x may be absent without dweight, weight without dx. pre is absent where
/// activation is kNone.
/// precision is that of the two products: kF32, or kBF16 of f32.
struct LinearBackwardArgs {
  Tensor x, weight, pre, dy;
  Activation activation;
  Tensor dx, dweight, dbias;
  Precision precision = Precision::kF32;
};

/// The H columns from `first` on of a wider tensor: so q, k and v may stand side by side in one.
struct ColumnView {
  ColumnView() = default;
  ColumnView(Tensor tensor, int64_t first_column = 0)
      : of(std::move(tensor)), first(first_column) {}  // NOLINT: implicit

  int64_t row_stride() const { return of.shape()[1]; }
  template <class T>
  T* data() const {
    return of.data<T>() + first;
  }

  Tensor of;
  int64_t first = 0;
};

/// For each sequence b (tokens offsets[b] to offsets[b+1]) and head n, over its D columns:
/// y = dropout(softmax(scale q k^T)) v.  lse[Q,N] = log sum exp of the scaled scores; unwanted in inference.
/// Sequence b's queries are rows query_offsets[b] to query_offsets[b+1] of q; absent: Q = T, every token asks.
/// A sequence without tokens has no queries.
/// Dropout's element index of (query row i, head n, key j within the sequence) is (i N + n) 65536 + j.
struct AttentionArgs {
  ColumnView q, k, v;  // [Q,H], [T,H], [T,H]
  Tensor offsets;      // [B+1] I32, first 0, last T, not decreasing
  Tensor query_offsets = {};
  int64_t heads;
  double scale;
  Dropout dropout;
  Tensor y, lse;

  const Tensor& queries() const { return query_offsets.defined() ? query_offsets : offsets; }
};
/// Recomputes the probabilities from q, k and lse (Dao et al., "FlashAttention", 2022, appendix B.4).
struct AttentionBackwardArgs {
  ColumnView q, k, v;
  Tensor offsets, query_offsets = {}, y, lse, dy;
  int64_t heads;
  double scale;
  Dropout dropout;
  ColumnView dq, dk, dv;

  const Tensor& queries() const { return query_offsets.defined() ? query_offsets : offsets; }
};

/// sum[T,H] = dropout(x) + residual;  y = (sum - mean) rstd gamma + beta, mean and rstd = 1/sqrt(var + eps) over H,
/// var the biased variance. residual may be absent; sum, mean, rstd are unwanted in inference.
struct AddLayerNormArgs {
  Tensor x, residual;  // [T,H]
  Tensor gamma, beta;  // [H]
  Dropout dropout;
  double eps;
  Tensor sum, mean, rstd, y;  // [T,H], [T], [T], [T,H]
};
/// With xhat = (sum - mean) rstd and g = dy gamma: dsum = rstd (g - mean_H(g) - xhat mean_H(g xhat)),
/// dx = dropout'(dsum), dgamma = sum_T dy xhat, dbeta = sum_T dy. dresidual is dsum; unwanted where there is no
/// residual. Each output may be unwanted; where dbeta alone is wanted, sum, mean and rstd may be absent.
struct AddLayerNormBackwardArgs {
  Tensor sum, mean, rstd, gamma, dy;
  Dropout dropout;
  Tensor dx, dresidual, dgamma, dbeta;
};

/// y[T,H] = word[ids] + position[positions] + segment[segments]. Ids are in range.
struct EmbedArgs {
  Tensor ids, positions, segments;  // [T] I32
  Tensor word, position, segment;   // [V,H], [P,H], [2,H]
  Tensor y;
};
/// Adds to dword, dposition, dsegment: each row of dy to the rows it was read from, in token order. Each may be
/// unwanted; then its indices may be absent. dword and dposition may be compact, that is hold only rows that were read:
/// then ids and positions say where among those.
struct EmbedBackwardArgs {
  Tensor ids, positions, segments, dy;
  Tensor dword, dposition, dsegment;
};

/// y = dropout(x), any shape. Its own backward: the same call on the gradient.
struct DropoutArgs {
  Tensor x;
  Dropout dropout;
  Tensor y;
};

/// y[R,H] = x[T,H] at rows [R] I32.
struct GatherRowsArgs {
  Tensor x, rows;
  Tensor y;
};
/// dx[T,H] = 0 where no row was read, else the sum of dy over the readers.
struct GatherRowsBackwardArgs {
  Tensor rows, dy;
  Tensor dx;
};

/// Mean cross-entropy over the rows whose target is not -1:
/// loss[1] = sum_r v_r [-(1-e) weight[t_r] logp_r[t_r] - e/C sum_c weight[c] logp_r[c]] / sum_r v_r weight[t_r]
/// (with v = 1 PyTorch's CrossEntropyLoss with `weight` and `label_smoothing`). weight = class_weight [C] and v =
/// row_weight [R] may be absent (all ones). dlogits[R,C] is its gradient, unwanted in evaluation. Without any counted
/// row, or where their weights sum to 0, loss and gradient are 0. Sums over R and C are taken in f64.
struct CrossEntropyArgs {
  Tensor logits, targets, class_weight, row_weight;  // [R,C], [R] I32, [C], [R]
  double label_smoothing;
  Tensor loss, dlogits;
};

/// y[R,C] = softmax of each row of x; the sum is taken in f64.
struct SoftmaxArgs {
  Tensor x, y;
};

/// One AdamW step (Loshchilov and Hutter, 2019; bias-corrected as in PyTorch), in place, over any shape:
/// g = grad_scale grad; param -= lr decay param; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
/// param -= lr / (1-b1^step) m / (sqrt(v / (1-b2^step)) + eps).
/// m and v are of param's dtype, or both BF16: then the step is made with their exact values, and they are stored
/// rounded, m to the nearest, v at random by random16 (round16.h) of its element, `site` and step.
struct AdamWArgs {
  Tensor param, grad, m, v;
  double grad_scale, lr, beta1, beta2, eps, decay;
  int64_t step;       // 1 for the first
  uint32_t site = 0;  // which parameter
};

/// What AdamW's steps differ in.
struct AdamWStep {
  double grad_scale, lr;
  int64_t step;
  double correction1, correction2;  // 1 - b1^step, 1 - b2^step
};
/// Steps of AdamW that rows of a table have not had yet, bit for bit as `adamw` on the whole table would have made
/// them. Each row in `rows` (all if absent) gets steps[done[row]] and those after it with a gradient of 0, but the last
/// with its row of grad where that is given; then done[row] is the count of steps. grad_scale is finite.
struct AdamWRowsArgs {
  Tensor param, m, v;  // [N,H]
  Tensor done;         // [N] I32, in place
  Tensor rows;         // [R] I32, each once
  Tensor grad;         // [R,H]
  std::span<const AdamWStep> steps;
  double beta1, beta2, eps, decay;
  uint32_t site = 0;
};

/// y += x, any shape.
struct AddIntoArgs {
  Tensor x, y;
};
/// x *= factor, any shape, in place.
struct ScaleArgs {
  Tensor x;
  double factor;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;

  /// A copy of weight[M,K] in the form that `linear` likes best; null where there is none. kInt8 is for f32 only;
  /// kBF16 has none.
  virtual std::unique_ptr<PreparedWeight> prepare(const Tensor& weight, Precision precision) const = 0;
  /// The same of a weight that is kept in 8 bits, or without its zeros.
  virtual std::unique_ptr<PreparedWeight> prepare(const CompactWeight& weight) const = 0;
  virtual void linear(const LinearArgs&) const = 0;
  virtual void linear_backward(const LinearBackwardArgs&) const = 0;
  virtual void attention(const AttentionArgs&) const = 0;
  virtual void attention_backward(const AttentionBackwardArgs&) const = 0;
  virtual void add_layer_norm(const AddLayerNormArgs&) const = 0;
  virtual void add_layer_norm_backward(const AddLayerNormBackwardArgs&) const = 0;
  virtual void embed(const EmbedArgs&) const = 0;
  virtual void embed_backward(const EmbedBackwardArgs&) const = 0;
  virtual void dropout(const DropoutArgs&) const = 0;
  virtual void gather_rows(const GatherRowsArgs&) const = 0;
  virtual void gather_rows_backward(const GatherRowsBackwardArgs&) const = 0;
  virtual void cross_entropy(const CrossEntropyArgs&) const = 0;
  virtual void softmax(const SoftmaxArgs&) const = 0;
  virtual void adamw(const AdamWArgs&) const = 0;
  virtual void adamw_rows(const AdamWRowsArgs&) const = 0;
  virtual void add_into(const AddIntoArgs&) const = 0;
  virtual void scale(const ScaleArgs&) const = 0;
  /// Sum of squares of all elements, accumulated in f64 in an order that depends only on the count.
  virtual double sum_squares(const Tensor& x) const = 0;
};

/// The naive and complete one, f32 and f64: the executable specification.
const Backend& ref_backend();
/// The fast one for this processor, f32; f64 goes to ref.
const Backend& cpu_backend();

/// The backend that ops/ call on this thread: cpu_backend() unless a BackendScope says otherwise.
const Backend& backend();
class BackendScope {
 public:
  explicit BackendScope(const Backend& chosen);
  ~BackendScope();
  BackendScope(const BackendScope&) = delete;
  BackendScope& operator=(const BackendScope&) = delete;

 private:
  const Backend* previous_;
};

}  // namespace cloze
