// The cpu backend: what is hot is overridden here, the rest and all f64 stay with ref.
#include <algorithm>

#include "cloze/backend/cpu/gemm.h"
#include "cloze/backend/cpu/gemm_bf16.h"
#include "cloze/backend/cpu/gemm_int8.h"
#include "cloze/backend/cpu/gemm_sparse.h"
#include "cloze/backend/cpu/kernels.h"
#include "cloze/backend/ref/ref_backend.h"
#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

bool is_f32(const Tensor& tensor) {
  return tensor.dtype() == DType::kF32;
}
float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<float>() : nullptr;
}

class CpuBackend : public RefBackend {
 public:
  const char* name() const override { return "cpu"; }

  std::unique_ptr<PreparedWeight> prepare(const Tensor& weight, Precision precision) const override {
    if (!is_f32(weight)) return nullptr;
    if (precision == Precision::kInt8)
      return std::make_unique<cpu::PackedInt8>(cpu::pack_int8(quantize_weight(weight)));
    // Whatever is mostly zeros, by pruning: nothing needs to say so.
    if (zero_share(weight) >= cpu::kSparseFromBlocks - cpu::kSparseRounding)
      if (SparseWeight sparse = sparse_weight(weight); cpu::sparse_pays(sparse))
        return std::make_unique<SparseWeight>(std::move(sparse));
    return std::make_unique<cpu::PackedMatrix>(
        cpu::pack_transposed(weight.data<float>(), weight.shape()[0], weight.shape()[1]));
  }

  std::unique_ptr<PreparedWeight> prepare(const CompactWeight& weight) const override {
    if (const auto* sparse = dynamic_cast<const SparseWeight*>(&weight); sparse == nullptr)
      return std::make_unique<cpu::PackedInt8>(cpu::pack_int8(dynamic_cast<const Int8Weight&>(weight)));
    else if (cpu::sparse_pays(*sparse))
      return std::make_unique<SparseWeight>(*sparse);  // shares the numbers
    return prepare(weight.expand(), Precision::kF32);
  }

  void linear(const LinearArgs& args) const override {
    if (!is_f32(args.x)) return RefBackend::linear(args);
    if (args.prepared != nullptr && args.prepared->precision == Precision::kInt8)
      return cpu::multiply_int8(args.x.data<float>(), args.x.shape()[0],
                                static_cast<const cpu::PackedInt8&>(*args.prepared), data_or_null(args.bias),
                                args.activation, args.y.data<float>());
    if (args.precision == Precision::kBF16) {
      if (cpu::has_bf16())
        return cpu::multiply_bf16(args.x, args.weight, data_or_null(args.bias), args.activation, data_or_null(args.pre),
                                  args.y.data<float>());
      LinearArgs same = args;
      same.x = cpu::round_to_bf16(args.x);
      same.weight = cpu::round_to_bf16(args.weight);
      same.precision = Precision::kF32;
      return linear(same);
    }
    if (const auto* sparse = dynamic_cast<const SparseWeight*>(args.prepared); sparse != nullptr)
      return cpu::multiply_sparse(args.x.data<float>(), args.x.shape()[0], *sparse, data_or_null(args.bias),
                                  args.activation, args.y.data<float>());
    const auto* packed = static_cast<const cpu::PackedMatrix*>(args.prepared);
    cpu::PackedMatrix fresh;
    if (packed == nullptr) {
      fresh = cpu::pack_transposed(args.weight.data<float>(), args.weight.shape()[0], args.weight.shape()[1]);
      packed = &fresh;
    }
    cpu::multiply(args.x.data<float>(), args.x.shape()[0], *packed, data_or_null(args.bias), args.activation,
                  data_or_null(args.pre), args.y.data<float>());
  }

  void linear_backward(const LinearBackwardArgs& args) const override {
    if (!is_f32(args.dy)) return RefBackend::linear_backward(args);
    const int64_t tokens = args.dy.shape()[0], outputs = args.dy.shape()[1];
    Tensor dpre = args.dy;
    if (args.activation != Activation::kNone) {
      dpre = Tensor(args.dy.shape(), DType::kF32);
      cpu::activation_backward(args.pre.data<float>(), args.dy.data<float>(), args.activation, dpre.elements(),
                               dpre.data<float>());
    }
    if (args.dbias.defined()) cpu::column_sums(dpre.data<float>(), tokens, outputs, args.dbias.data<float>());
    if (args.precision != Precision::kBF16) return linear_gradients(args.x, args.weight, dpre, args.dx, args.dweight);
    if (!cpu::has_bf16())
      return linear_gradients(args.dweight.defined() ? cpu::round_to_bf16(args.x) : Tensor(),
                              args.dx.defined() ? cpu::round_to_bf16(args.weight) : Tensor(), cpu::round_to_bf16(dpre),
                              args.dx, args.dweight);
    if (args.dweight.defined()) cpu::multiply_bf16_transposed(dpre, args.x, args.dweight.data<float>());
    if (args.dx.defined()) cpu::multiply_bf16_plain(dpre, args.weight, args.dx.data<float>());
  }

  void attention(const AttentionArgs& args) const override {
    is_f32(args.y) ? cpu::attention(args) : RefBackend::attention(args);
  }
  void attention_backward(const AttentionBackwardArgs& args) const override {
    is_f32(args.dy) ? cpu::attention_backward(args) : RefBackend::attention_backward(args);
  }
  void add_layer_norm(const AddLayerNormArgs& args) const override {
    is_f32(args.x) ? cpu::add_layer_norm(args) : RefBackend::add_layer_norm(args);
  }
  void add_layer_norm_backward(const AddLayerNormBackwardArgs& args) const override {
    is_f32(args.dy) ? cpu::add_layer_norm_backward(args) : RefBackend::add_layer_norm_backward(args);
  }
  void dropout(const DropoutArgs& args) const override {
    is_f32(args.x) ? cpu::dropout(args) : RefBackend::dropout(args);
  }
  void cross_entropy(const CrossEntropyArgs& args) const override {
    is_f32(args.logits) ? cpu::cross_entropy(args) : RefBackend::cross_entropy(args);
  }
  void softmax(const SoftmaxArgs& args) const override {
    is_f32(args.x) ? cpu::softmax(args) : RefBackend::softmax(args);
  }
  void adamw(const AdamWArgs& args) const override { is_f32(args.param) ? cpu::adamw(args) : RefBackend::adamw(args); }
  void adamw_rows(const AdamWRowsArgs& args) const override {
    is_f32(args.param) ? cpu::adamw_rows(args) : RefBackend::adamw_rows(args);
  }
  void add_into(const AddIntoArgs& args) const override {
    is_f32(args.x) ? cpu::add_into(args) : RefBackend::add_into(args);
  }
  void scale(const ScaleArgs& args) const override { is_f32(args.x) ? cpu::scale(args) : RefBackend::scale(args); }
  double sum_squares(const Tensor& x) const override {
    return is_f32(x) ? cpu::sum_squares(x) : RefBackend::sum_squares(x);
  }

  void embed(const EmbedArgs& args) const override {
    if (!is_f32(args.word)) return RefBackend::embed(args);
    thread_team().for_ranges(args.ids.elements(), 32, [&](int64_t begin, int64_t end) {
      EmbedArgs part = args;
      part.ids = args.ids.rows(begin, end);
      part.positions = args.positions.rows(begin, end);
      part.segments = args.segments.rows(begin, end);
      part.y = args.y.rows(begin, end);
      RefBackend::embed(part);
    });
  }

  void embed_backward(const EmbedBackwardArgs& args) const override {
    if (!is_f32(args.dy)) return RefBackend::embed_backward(args);
    scatter(args.ids, args.dy, args.dword);
    scatter(args.positions, args.dy, args.dposition);
    if (args.dsegment.defined())
      RefBackend::embed_backward({.ids = args.ids,
                                  .positions = args.positions,
                                  .segments = args.segments,
                                  .dy = args.dy,
                                  .dword = {},
                                  .dposition = {},
                                  .dsegment = args.dsegment});
  }

 private:
  /// dx = dpre weight and dweight = dpre^T x, where wanted.
  static void linear_gradients(const Tensor& x, const Tensor& weight, const Tensor& dpre, const Tensor& dx,
                               const Tensor& dweight) {
    const int64_t tokens = dpre.shape()[0], outputs = dpre.shape()[1];
    if (dweight.defined())
      cpu::multiply_transposed(dpre.data<float>(), outputs, cpu::pack_plain(x.data<float>(), tokens, x.shape()[1]),
                               dweight.data<float>());
    if (dx.defined())
      cpu::multiply(dpre.data<float>(), tokens, cpu::pack_plain(weight.data<float>(), outputs, weight.shape()[1]),
                    nullptr, Activation::kNone, nullptr, dx.data<float>());
  }

  /// table[rows[t]] += dy[t]: each worker serves its own rows of the table, each row in token order.
  static void scatter(const Tensor& rows, const Tensor& dy, const Tensor& table) {
    if (!table.defined()) return;
    const int64_t tokens = dy.shape()[0], h = dy.shape()[1];
    const int32_t* row = rows.data<int32_t>();
    thread_team().run([&](int worker, int workers) {
      for (int64_t t = 0; t < tokens; ++t) {
        if (row[t] % workers != worker) continue;
        const float* from = dy.data<float>() + t * h;
        float* to = table.data<float>() + row[t] * h;
        for (int64_t c = 0; c < h; ++c) to[c] += from[c];
      }
    });
  }
};

}  // namespace

const Backend& cpu_backend() {
  static const CpuBackend instance;
  return instance;
}

}  // namespace cloze
