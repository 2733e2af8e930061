#include "cloze/model/bert.h"

#include <algorithm>

namespace cloze {
namespace {

EncoderSizes sizes_of(const BertConfig& c, const LayerShape& shape) {
  return {.hidden = c.hidden_size,
          .heads = shape.heads,
          .head_width = c.head_width(),
          .feed_forward = shape.feed_forward,
          .activation = c.hidden_act,
          .hidden_dropout = c.hidden_dropout_prob,
          .attention_dropout = c.attention_probs_dropout_prob,
          .eps = c.layer_norm_eps};
}

/// x at a place of its own on the tape, where its readers' gradients add up before those of others who read x: as in a
/// layer that is recomputed, so that both ways have the same bits.
Var branch(const Var& x) {
  if (!x.needs_grad()) return x;
  return Var::from_op(x.value(), {x}, [slot = x.slot()](const Tensor& dx) { slot.add_grad(dx); });
}

}  // namespace

Bert::Bert(const BertConfig& config, Pooler pooler)
    : config_(config),
      embeddings_("bert.embeddings", config.vocab_size, config.max_position_embeddings, config.type_vocab_size,
                  sizes_of(config, config.layer(0))) {
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(fmt::format("bert.encoder.layer.{}", i), sizes_of(config, config.layer(i)));
  if (pooler == Pooler::kWith) pooler_.emplace("bert.pooler.dense", config.hidden_size, config.hidden_size);
}

void Bert::check_lengths(const RaggedBatch& batch) const {
  const auto offsets = batch.offsets.values<int32_t>();
  for (size_t b = 0; b + 1 < offsets.size(); ++b)
    CLOZE_CHECK(offsets[b + 1] > offsets[b] && offsets[b + 1] - offsets[b] <= config_.max_position_embeddings,
                ErrorCode::kValue, "sequence {} has {} tokens; the model takes 1 to {}", b, offsets[b + 1] - offsets[b],
                config_.max_position_embeddings);
}

Var Bert::forward(const RaggedBatch& batch, ForwardContext& context) const {
  check_lengths(batch);
  return encode(embeddings_.forward(batch, context), batch.offsets, context);
}

Var Bert::encode(const Var& embeddings, const Tensor& offsets, ForwardContext& context) const {
  Var x = embeddings;                                                                // [T,H]
  for (const EncoderLayer& layer : layers_) x = layer.forward(x, offsets, context);  // [T,H]
  return x;
}

void Bert::visit_layers(const RaggedBatch& batch, ForwardContext& context, int64_t last,
                        const std::function<void(int64_t, const Var&)>& visit) const {
  CLOZE_CHECK(last >= 0 && last <= config_.num_hidden_layers, ErrorCode::kInternal, "layer {} of {}", last,
              config_.num_hidden_layers);
  check_lengths(batch);
  Var x = embeddings_.forward(batch, context);  // [T,H]
  visit(0, x);
  for (int64_t layer = 1; layer <= last; ++layer) {
    x = layers_[static_cast<size_t>(layer - 1)].forward(branch(x), batch.offsets, context);
    visit(layer, x);
  }
}

Var Bert::pool(const Var& first) const {
  CLOZE_CHECK(pooler_.has_value(), ErrorCode::kInternal, "this model was built without a pooler");
  return pooler_->forward(first, Activation::kTanh);  // [B,H]
}

Var Bert::pooled(const Var& hidden, const RaggedBatch& batch) const {
  return pool(gather_rows(hidden, batch.first_tokens()));
}

Var Bert::forward_at(const RaggedBatch& batch, const PickedRows& picked, ForwardContext& context) const {
  check_lengths(batch);
  Var x = embeddings_.forward(batch, context);  // [T,H]
  for (size_t i = 0; i + 1 < layers_.size(); ++i) x = layers_[i].forward(x, batch.offsets, context);
  return layers_.back().forward_at(picked, x, batch.offsets, context);
}

Var Bert::pooled_only(const RaggedBatch& batch, ForwardContext& context) const {
  check_lengths(batch);  // before the first tokens are looked for
  std::vector<int32_t> counts;
  for (int64_t b = 0; b <= batch.sequences(); ++b) counts.push_back(static_cast<int32_t>(b));
  const PickedRows first{batch.first_tokens(), Tensor::of(Shape({batch.sequences() + 1}), counts)};
  return pool(forward_at(batch, first, context));
}

void Bert::collect(ParameterList& list) {
  embeddings_.collect(list);
  for (EncoderLayer& layer : layers_) layer.collect(list);
  if (pooler_) pooler_->collect(list);
}

void Bert::add_adapters(std::span<const std::string> targets, const AdapterOptions& options) {
  for (EncoderLayer& layer : layers_) layer.add_adapters(targets, options);
}

void Bert::collect_adapters(ParameterList& list) {
  for (EncoderLayer& layer : layers_) layer.collect_adapters(list);
}

void Bert::merge_adapters() {
  for (EncoderLayer& layer : layers_) layer.merge_adapters();
}

void Bert::unmerge_adapters() {
  for (EncoderLayer& layer : layers_) layer.unmerge_adapters();
}

BertConfig::Recorded Bert::recorded() const {
  Bert copy = *this;  // shares all values
  const auto some = [](const ParameterList& list, bool weights) {
    return std::ranges::any_of(list,
                               [&](const Parameter* p) { return p->trained && (!weights || p->decay == Decay::kYes); });
  };
  ParameterList embeddings;
  copy.embeddings_.collect(embeddings);
  const int64_t count = static_cast<int64_t>(layers_.size());
  BertConfig::Recorded recorded{some(embeddings, false) ? count : 0, false};
  for (int64_t i = 0; i < count; ++i) {
    ParameterList list;
    copy.layers_[static_cast<size_t>(i)].collect(list);
    copy.layers_[static_cast<size_t>(i)].collect_adapters(list);
    if (some(list, false)) recorded.layers = std::max(recorded.layers, count - i);
    if (some(list, true)) recorded.weights = true;
  }
  return recorded;
}

void Bert::freeze(EncoderLayer::Rows rows, Precision precision) {
  // Rows that a lazy optimizer still owes are settled now: inference on several threads may not change them.
  ParameterList list;
  collect(list);
  for (const Parameter* parameter : list)
    if (parameter->var.defined()) (void)parameter->var.value();
  for (EncoderLayer& layer : layers_)
    layer.freeze(&layer == &layers_.back() ? rows : EncoderLayer::Rows::kAll, precision);
  if (pooler_) pooler_->freeze();
}

void Bert::thaw() {
  for (EncoderLayer& layer : layers_) layer.thaw();
  if (pooler_) pooler_->thaw();
}

}  // namespace cloze
