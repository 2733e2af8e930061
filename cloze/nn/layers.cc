#include "cloze/nn/layers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/backend/int8.h"

namespace cloze {
namespace {

/// Linear layers of one input as one product, with their changes where there are any.
Var group(const Var& x, const std::vector<const Linear*>& layers, const PreparedWeight* prepared, Precision training) {
  std::vector<Var> weights, biases;
  std::vector<LowRank> changes;
  bool changed = false;
  for (const Linear* layer : layers) {
    layer->note(x);
    weights.push_back(layer->weight());
    biases.push_back(layer->bias());
    changes.push_back(layer->change());
    changed = changed || changes.back().a.defined();
  }
  if (changed) return linear_low_rank(x, weights, biases, changes, Activation::kNone, training);
  return linear_group(x, weights, biases, prepared, training);
}

/// Of a weight that is kept compact. What is sparse is floats still, where 8 bits are asked for.
std::unique_ptr<PreparedWeight> prepare_compact(const CompactWeight& weight, Precision precision) {
  return weight.precision == precision || weight.precision == Precision::kInt8
             ? prepare_weight(weight)
             : prepare_weight(weight.expand(), precision);
}

/// One product of several layers of one input; compact where all of them are.
std::shared_ptr<PreparedWeight> prepare_group(const std::vector<const Linear*>& layers, Precision precision) {
  if (std::ranges::all_of(layers, [](const Linear* layer) { return layer->compact() != nullptr; })) {
    std::vector<const CompactWeight*> compact;
    for (const Linear* layer : layers) compact.push_back(layer->compact());
    if (const auto joined = join_compact(compact); joined != nullptr) return prepare_compact(*joined, precision);
  }
  std::vector<Var> parts;
  for (const Linear* layer : layers) parts.push_back(layer->floats());
  return prepare_weight(joined_rows(parts), precision);
}

}  // namespace

Linear::Linear(const std::string& name, int64_t inputs, int64_t outputs)
    : weight_{name + ".weight", {outputs, inputs}, Init::kNormal, Decay::kYes, {}},
      bias_{name + ".bias", {outputs}, Init::kZeros, Decay::kNo, {}} {}

void Linear::note(const Var& x) const {
  if (weight_.seen != nullptr) weight_.seen->cover(x.value());
}

Var Linear::forward(const Var& x, Activation activation, Precision training) const {
  note(x);
  const LowRank own = change();
  if (own.a.defined()) return linear_low_rank(x, {weight_.var}, {bias_.var}, {own}, activation, training);
  return linear(x, weight_.var, bias_.var, activation, prepared_.get(), training);
}

void Linear::collect(ParameterList& list) {
  list.push_back(&weight_);
  list.push_back(&bias_);
}

void Linear::freeze(Precision precision) {
  prepared_ = weight_.compact != nullptr ? prepare_compact(*weight_.compact, precision)
                                         : prepare_weight(weight_.var.value(), precision);
}

void Linear::add_adapter(const AdapterOptions& options) {
  const int64_t outputs = weight_.shape[0], inputs = weight_.shape[1], rank = options.rank;
  CLOZE_CHECK(rank >= 1 && rank <= std::min(inputs, outputs), ErrorCode::kUsage,
              "an adapter of {} must have a rank of 1 to {}, got {}", weight_.name, std::min(inputs, outputs), rank);
  const std::string name = weight_.name.substr(0, weight_.name.size() - std::string(".weight").size());
  adapter_ = std::make_shared<Adapter>(
      Adapter{{name + ".lora_A.weight", Shape({rank, inputs}), Init::kNormal, Decay::kYes, {}},
              {name + ".lora_B.weight", Shape({outputs, rank}), Init::kZeros, Decay::kYes, {}},
              options.alpha / static_cast<double>(rank)});
  adapter_->a.initialize(options.seed, 1.0 / std::sqrt(static_cast<double>(inputs)));
  adapter_->b.initialize(options.seed, 0);
}

void Linear::collect_adapter(ParameterList& list) {
  if (adapter_ != nullptr) list.insert(list.end(), {&adapter_->a, &adapter_->b});
}

LowRank Linear::change() const {
  if (adapter_ == nullptr || unmerged_.defined()) return {};
  return {adapter_->a.var, adapter_->b.var, adapter_->scale};
}

void Linear::merge_adapter() {
  const LowRank own = change();
  if (!own.a.defined()) return;
  unmerged_ = weight_.var;
  weight_.var = Var(merged_weight(unmerged_.value(), own));
}

void Linear::unmerge_adapter() {
  if (!unmerged_.defined()) return;
  weight_.var = unmerged_;
  unmerged_ = {};
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
      dropout_(sizes.hidden_dropout) {
  word_.runs_as_int8 = true;
}

Var Embeddings::forward(const RaggedBatch& batch, ForwardContext& context) const {
  Var sum =
      word_.compact == nullptr ? embed(batch, word_.var, position_.var, segment_.var) : embed_int8(batch);  // [T,H]
  if (context.perturbation() != nullptr) sum = context.perturbation()->add_to(sum, batch.offsets);
  return dropout(norm_.forward(sum), context.next_dropout(dropout_));
}

Var Embeddings::embed_int8(const RaggedBatch& batch) const {
  const auto ids = batch.ids.values<int32_t>();
  for (const int32_t id : ids)
    CLOZE_CHECK(id >= 0 && id < word_.shape[0], ErrorCode::kValue, "[embed] id {} is outside of a table of {} rows", id,
                word_.shape[0]);
  RaggedBatch own = batch;  // of the rows that it reads
  own.ids = Tensor(batch.ids.shape(), DType::kI32);
  std::iota(own.ids.data<int32_t>(), own.ids.data<int32_t>() + own.ids.elements(), 0);
  return embed(own, Var(expand_int8_rows(dynamic_cast<const Int8Weight&>(*word_.compact), ids)), position_.var,
               segment_.var);
}

void Embeddings::collect(ParameterList& list) {
  list.insert(list.end(), {&word_, &position_, &segment_});
  norm_.collect(list);
}

EncoderLayer::EncoderLayer(const std::string& name, const EncoderSizes& sizes)
    : sizes_(sizes),
      query_(name + ".attention.self.query", sizes.hidden, sizes.attention_width()),
      key_(name + ".attention.self.key", sizes.hidden, sizes.attention_width()),
      value_(name + ".attention.self.value", sizes.hidden, sizes.attention_width()),
      attention_output_(name + ".attention.output.dense", sizes.attention_width(), sizes.hidden),
      up_(name + ".intermediate.dense", sizes.hidden, sizes.feed_forward),
      down_(name + ".output.dense", sizes.feed_forward, sizes.hidden),
      attention_norm_(name + ".attention.output.LayerNorm", sizes.hidden, sizes.eps),
      output_norm_(name + ".output.LayerNorm", sizes.hidden, sizes.eps) {
  for (Linear* layer : linears()) layer->allow_compact();
}

EncoderLayer::Dropouts EncoderLayer::next_dropouts(ForwardContext& context) const {
  const Dropout attention = context.next_dropout(sizes_.attention_dropout);
  const Dropout first = context.next_dropout(sizes_.hidden_dropout);
  return {attention, first, context.next_dropout(sizes_.hidden_dropout)};
}

Var EncoderLayer::after_attention(const Var& mixed, const Var& x, const Dropouts& dropouts, Precision training) const {
  const int64_t T = x.shape()[0];
  const Var projected = attends() ? attention_output_.forward(mixed, Activation::kNone, training)
                                  : repeat_row(attention_output_.bias(), T);   // [T,H]
  const Var attended = attention_norm_.forward(projected, x, dropouts.first);  // [T,H]
  if (!thinks()) return output_norm_.forward(repeat_row(down_.bias(), T), attended, dropouts.second);
  const Var wide = up_.forward(attended, sizes_.activation, training);  // [T,F]
  const Var narrow = down_.forward(wide, Activation::kNone, training);  // [T,H]
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
  copy.collect_adapters(parameters);
  std::vector<Var> leaves;
  for (const Parameter* parameter : parameters) leaves.push_back(parameter->var.slot());
  const auto again = [layer = std::move(copy), dropouts, offsets, training](const Var& input) {
    return layer.forward_with(dropouts, input, offsets, training);
  };
  return recomputed(x, again, leaves);
}

Var EncoderLayer::forward_with(const Dropouts& dropouts, const Var& x, const Tensor& offsets,
                               Precision training) const {
  if (!attends()) return after_attention({}, x, dropouts, training);
  const int64_t A = sizes_.attention_width();
  const Var qkv = group(x, {&query_, &key_, &value_}, qkv_.get(), training);  // [T,3A]
  const Var mixed = attention({qkv, 0}, {qkv, A}, {qkv, 2 * A}, A, offsets, {}, sizes_.heads, dropouts.attention);
  return after_attention(mixed, x, dropouts, training);
}

Var EncoderLayer::forward_at(const PickedRows& picked, const Var& x, const Tensor& offsets,
                             ForwardContext& context) const {
  const Dropouts dropouts = next_dropouts(context);
  const int64_t A = sizes_.attention_width();
  const Var rows = gather_rows(x, picked.rows);  // [R,H]
  if (!attends()) return after_attention({}, rows, dropouts, context.precision());
  const Var q = query_.forward(rows, Activation::kNone, context.precision());  // [R,A]
  const Var kv = group(x, {&key_, &value_}, kv_.get(), context.precision());   // [T,2A]
  const Var mixed = attention({q, 0}, {kv, 0}, {kv, A}, A, offsets, picked.offsets, sizes_.heads, dropouts.attention);
  return after_attention(mixed, rows, dropouts, context.precision());
}

Var EncoderLayer::queries_and_keys(const Var& x) const {
  CLOZE_CHECK(attends(), ErrorCode::kInternal, "a layer without heads has no queries");
  return linear_group(x, {query_.floats(), key_.floats()}, {query_.bias(), key_.bias()}, nullptr, Precision::kF32);
}

Var EncoderLayer::projections(const Var& x) const {
  CLOZE_CHECK(attends(), ErrorCode::kInternal, "a layer without heads has no queries");
  return linear_group(x, {query_.floats(), key_.floats(), value_.floats()}, {query_.bias(), key_.bias(), value_.bias()},
                      nullptr, Precision::kF32);
}

void EncoderLayer::collect(ParameterList& list) {
  for (Linear* layer : {&query_, &key_, &value_, &attention_output_})
    if (attends()) layer->collect(list);
  if (!attends()) attention_output_.collect_bias(list);
  attention_norm_.collect(list);
  for (Linear* layer : {&up_, &down_})
    if (thinks()) layer->collect(list);
  if (!thinks()) down_.collect_bias(list);
  output_norm_.collect(list);
}

const std::vector<std::string>& EncoderLayer::adapter_targets() {
  static const std::vector<std::string> names = {"query", "key", "value", "attention_output", "up", "down"};
  return names;
}

void EncoderLayer::add_adapters(std::span<const std::string> targets, const AdapterOptions& options) {
  const std::vector<std::string>& names = adapter_targets();
  for (size_t i = 0; i < names.size(); ++i)
    if (std::ranges::find(targets, names[i]) != targets.end() && has(linears()[i])) linears()[i]->add_adapter(options);
}

void EncoderLayer::collect_adapters(ParameterList& list) {
  for (Linear* layer : linears()) layer->collect_adapter(list);
}

void EncoderLayer::merge_adapters() {
  for (Linear* layer : linears()) layer->merge_adapter();
}

void EncoderLayer::unmerge_adapters() {
  for (Linear* layer : linears()) layer->unmerge_adapter();
}

void EncoderLayer::freeze(Rows rows, Precision precision) {
  thaw();
  for (Linear* layer : {&attention_output_, &up_, &down_})
    if (has(layer)) layer->freeze(precision);
  if (!attends()) return;
  if (rows == Rows::kAll) {
    qkv_ = prepare_group({&query_, &key_, &value_}, precision);
  } else {
    query_.freeze(precision);
    kv_ = prepare_group({&key_, &value_}, precision);
  }
}

void EncoderLayer::thaw() {
  for (Linear* layer : {&query_, &attention_output_, &up_, &down_}) layer->thaw();
  qkv_.reset();
  kv_.reset();
}

}  // namespace cloze
