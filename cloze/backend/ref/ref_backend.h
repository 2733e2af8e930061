// The reference backend: every kernel as its formula says, one element at a time, one thread, f32 and f64.
#pragma once

#include "cloze/backend/backend.h"

namespace cloze {

class RefBackend : public Backend {
 public:
  const char* name() const override { return "ref"; }
  std::unique_ptr<PreparedWeight> prepare(const Tensor& weight, Precision precision) const override;
  std::unique_ptr<PreparedWeight> prepare(const CompactWeight& weight) const override;
  void linear(const LinearArgs&) const override;
  void linear_backward(const LinearBackwardArgs&) const override;
  void attention(const AttentionArgs&) const override;
  void attention_backward(const AttentionBackwardArgs&) const override;
  void add_layer_norm(const AddLayerNormArgs&) const override;
  void add_layer_norm_backward(const AddLayerNormBackwardArgs&) const override;
  void embed(const EmbedArgs&) const override;
  void embed_backward(const EmbedBackwardArgs&) const override;
  void dropout(const DropoutArgs&) const override;
  void gather_rows(const GatherRowsArgs&) const override;
  void gather_rows_backward(const GatherRowsBackwardArgs&) const override;
  void cross_entropy(const CrossEntropyArgs&) const override;
  void softmax(const SoftmaxArgs&) const override;
  void adamw(const AdamWArgs&) const override;
  void adamw_rows(const AdamWRowsArgs&) const override;
  void add_into(const AddIntoArgs&) const override;
  void scale(const ScaleArgs&) const override;
  double sum_squares(const Tensor& x) const override;
};

}  // namespace cloze
