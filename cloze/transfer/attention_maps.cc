#include "cloze/transfer/attention_maps.h"

#include <algorithm>
#include <cmath>

#include "cloze/base/json.h"
#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

/// softmax(q k^T / sqrt(D)) of each head from qk[S,2H], queries and keys side by side.
Tensor probabilities(const Tensor& qk, int64_t heads) {
  const int64_t S = qk.shape()[0], H = qk.shape()[1] / 2, D = H / heads;
  const Tensor maps({heads, S, S}, DType::kF32);
  const float* const x = qk.data<float>();
  thread_team().for_ranges(heads * S, 8, [&](int64_t from, int64_t to) {
    std::vector<double> scores(static_cast<size_t>(S));
    for (int64_t row = from; row < to; ++row) {
      const int64_t head = row / S;
      const float* const q = x + row % S * 2 * H + head * D;
      for (int64_t s = 0; s < S; ++s) {
        const float* const k = x + s * 2 * H + H + head * D;
        double sum = 0;
        for (int64_t d = 0; d < D; ++d) sum += static_cast<double>(q[d]) * static_cast<double>(k[d]);
        scores[static_cast<size_t>(s)] = sum / std::sqrt(static_cast<double>(D));
      }
      const double most = *std::ranges::max_element(scores);
      double total = 0;
      for (double& score : scores) total += score = std::exp(score - most);
      for (int64_t s = 0; s < S; ++s)
        maps.data<float>()[row * S + s] = static_cast<float>(scores[static_cast<size_t>(s)] / total);
    }
  });
  return maps;
}

}  // namespace

std::vector<AttentionMaps> attention_maps(const FrozenEncoder& encoder, const TextExample& row) {
  const NoGrad quiet;
  const EncodedRows encoded = encode_rows(encoder.tokenizer, {&row, 1}, encoder.limits);
  const int64_t L = encoder.config.num_hidden_layers;
  std::vector<AttentionMaps> result;
  for (size_t i = 0; i < encoded.sequences.size(); ++i) {
    AttentionMaps maps;
    for (const int32_t id : encoded.sequences[i].ids) maps.tokens.emplace_back(encoder.tokenizer.token(id));
    maps.segments = encoded.sequences[i].segments;
    maps.segments.resize(maps.tokens.size());
    ForwardContext context;
    encoder.bert.visit_layers(
        join_sequences(encoded.sequences, i, i + 1), context, L - 1, [&](int64_t layer, const Var& hidden) {
          const EncoderLayer& next = encoder.bert.layers()[static_cast<size_t>(layer)];
          const int64_t heads = encoder.config.layer(layer).heads, S = hidden.shape()[0];
          maps.layers.push_back(heads == 0 ? Tensor({0, S, S}, DType::kF32)
                                           : probabilities(next.queries_and_keys(hidden).value(), heads));
        });
    result.push_back(std::move(maps));
  }
  return result;
}

std::string attention_line(const AttentionMaps& maps) {
  JsonLine line;
  line.begin_object().key("tokens").begin_array();
  for (const std::string& token : maps.tokens) line.value(token);
  line.end_array().key("segments").begin_array();
  for (const int32_t segment : maps.segments) line.value(segment);
  line.end_array().key("attention").begin_array();
  const int64_t S = static_cast<int64_t>(maps.tokens.size());
  for (const Tensor& layer : maps.layers) {
    line.begin_array();
    for (int64_t head = 0; head < layer.shape()[0]; ++head) {
      line.begin_array();
      for (int64_t from = 0; from < S; ++from) {
        line.begin_array();
        for (int64_t to = 0; to < S; ++to) line.value(layer.data<float>()[(head * S + from) * S + to]);
        line.end_array();
      }
      line.end_array();
    }
    line.end_array();
  }
  return line.end_array().end_object().text();
}

}  // namespace cloze
