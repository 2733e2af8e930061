#include "cloze/nn/layers.h"

namespace cloze {

Linear::Linear(const std::string& name, int64_t inputs, int64_t outputs)
    : weight_{name + ".weight", {outputs, inputs}, Init::kNormal, Decay::kYes, {}},
      bias_{name + ".bias", {outputs}, Init::kZeros, Decay::kNo, {}} {}

Var Linear::forward(const Var& x, Activation activation, Precision training) const {
  return linear(x, weight_.var, bias_.var, activation, prepared_.get(), training);
}

void Linear::collect(ParameterList& list) {
  list.push_back(&weight_);
  list.push_back(&bias_);
}

void Linear::freeze(Precision precision) {
  prepared_ = prepare_weight(weight_.var.value(), precision);
}

LayerNorm::LayerNorm(const std::string& name, int64_t hidden, double eps)
    : gamma_{name + ".weight", {hidden}, Init::kOnes, Decay::kNo, {}},
      beta_{name + ".bias", {hidden}, Init::kZeros, Decay::kNo, {}},
      eps_(eps) {}

Var LayerNorm::forward(const Var& x, const Var& residual, const Dropout& dropout) const {
  return add_layer_norm(x, residual, gamma_.var, beta_.var, eps_, dropout);
}

void LayerNorm::collect(ParameterList& list) {
  list.push_back(&gamma_);
  list.push_back(&beta_);
}

Embeddings::Embeddings(const std::string& name, int64_t vocabulary, int64_t positions, int64_t segments,
                       const EncoderSizes& sizes)
    : word_{name + ".word_embeddings.weight", {vocabulary, sizes.hidden}, Init::kNormal, Decay::kYes, {}},
      position_{name + ".position_embeddings.weight", {positions, sizes.hidden}, Init::kNormal, Decay::kYes, {}},
      segment_{name + ".token_type_embeddings.weight", {segments, sizes.hidden}, Init::kNormal, Decay::kYes, {}},
      norm_(name + ".LayerNorm", sizes.hidden, sizes.eps),
      dropout_(sizes.hidden_dropout) {}

Var Embeddings::forward(const RaggedBatch& batch, ForwardContext& context) const {
  const Var sum = embed(batch, word_.var, position_.var, segment_.var);  // [T,H]
  return dropout(norm_.forward(sum), context.next_dropout(dropout_));
}

void Embeddings::collect(ParameterList& list) {
  list.insert(list.end(), {&word_, &position_, &segment_});
  norm_.collect(list);
}

EncoderLayer::EncoderLayer(const std::string& name, const EncoderSizes& sizes)
    : sizes_(sizes),
      query_(name + ".attention.self.query", sizes.hidden, sizes.hidden),
      key_(name + ".attention.self.key", sizes.hidden, sizes.hidden),
      value_(name + ".attention.self.value", sizes.hidden, sizes.hidden),
      attention_output_(name + ".attention.output.dense", sizes.hidden, sizes.hidden),
      up_(name + ".intermediate.dense", sizes.hidden, sizes.feed_forward),
      down_(name + ".output.dense", sizes.feed_forward, sizes.hidden),
      attention_norm_(name + ".attention.output.LayerNorm", sizes.hidden, sizes.eps),
      output_norm_(name + ".output.LayerNorm", sizes.hidden, sizes.eps) {}

EncoderLayer::Dropouts EncoderLayer::next_dropouts(ForwardContext& context) const {
  const Dropout attention = context.next_dropout(sizes_.attention_dropout);
  const Dropout first = context.next_dropout(sizes_.hidden_dropout);
  return {attention, first, context.next_dropout(sizes_.hidden_dropout)};
}

Var EncoderLayer::after_attention(const Var& mixed, const Var& x, const Dropouts& dropouts, Precision training) const {
  const Var projected = attention_output_.forward(mixed, Activation::kNone, training);  // [T,H]
  const Var attended = attention_norm_.forward(projected, x, dropouts.first);           // [T,H]
  const Var wide = up_.forward(attended, sizes_.activation, training);                  // [T,F]
  const Var narrow = down_.forward(wide, Activation::kNone, training);                  // [T,H]
  return output_norm_.forward(narrow, attended, dropouts.second);
}

Var EncoderLayer::forward(const Var& x, const Tensor& offsets, ForwardContext& context) const {
  const Dropouts dropouts = next_dropouts(context);
  const Precision training = context.precision();
  if (context.activations() == Activations::kKept) return forward_with(dropouts, x, offsets, training);
  // A copy of the layer shares its parameters, and the tape may outlive this one.
  EncoderLayer copy = *this;
  ParameterList parameters;
  copy.collect(parameters);
  std::vector<Var> leaves;
  for (const Parameter* parameter : parameters) leaves.push_back(parameter->var.slot());
  const auto again = [layer = std::move(copy), dropouts, offsets, training](const Var& input) {
    return layer.forward_with(dropouts, input, offsets, training);
  };
  return recomputed(x, again, leaves);
}

Var EncoderLayer::forward_with(const Dropouts& dropouts, const Var& x, const Tensor& offsets,
                               Precision training) const {
  const int64_t H = sizes_.hidden;
  const Var qkv = linear_group(x, {query_.weight(), key_.weight(), value_.weight()},
                               {query_.bias(), key_.bias(), value_.bias()}, qkv_.get(), training);  // [T,3H]
  const Var mixed = attention({qkv, 0}, {qkv, H}, {qkv, 2 * H}, H, offsets, {}, sizes_.heads, dropouts.attention);
  return after_attention(mixed, x, dropouts, training);
}

Var EncoderLayer::forward_at(const PickedRows& picked, const Var& x, const Tensor& offsets,
                             ForwardContext& context) const {
  const Dropouts dropouts = next_dropouts(context);
  const int64_t H = sizes_.hidden;
  const Var rows = gather_rows(x, picked.rows);                                // [R,H]
  const Var q = query_.forward(rows, Activation::kNone, context.precision());  // [R,H]
  const Var kv = linear_group(x, {key_.weight(), value_.weight()}, {key_.bias(), value_.bias()}, kv_.get(),
                              context.precision());  // [T,2H]
  const Var mixed = attention({q, 0}, {kv, 0}, {kv, H}, H, offsets, picked.offsets, sizes_.heads, dropouts.attention);
  return after_attention(mixed, rows, dropouts, context.precision());
}

Var EncoderLayer::queries_and_keys(const Var& x) const {
  return linear_group(x, {query_.weight(), key_.weight()}, {query_.bias(), key_.bias()}, nullptr, Precision::kF32);
}

void EncoderLayer::collect(ParameterList& list) {
  for (Linear* layer : {&query_, &key_, &value_, &attention_output_}) layer->collect(list);
  attention_norm_.collect(list);
  up_.collect(list);
  down_.collect(list);
  output_norm_.collect(list);
}

void EncoderLayer::freeze(Rows rows, Precision precision) {
  thaw();
  for (Linear* layer : {&attention_output_, &up_, &down_}) layer->freeze(precision);
  if (rows == Rows::kAll) {
    qkv_ = prepare_weight(joined_rows({query_.weight(), key_.weight(), value_.weight()}), precision);
  } else {
    query_.freeze(precision);
    kv_ = prepare_weight(joined_rows({key_.weight(), value_.weight()}), precision);
  }
}

void EncoderLayer::thaw() {
  for (Linear* layer : {&query_, &attention_output_, &up_, &down_}) layer->thaw();
  qkv_.reset();
  kv_.reset();
}

}  // namespace cloze
