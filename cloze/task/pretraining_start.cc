#include "cloze/task/pretraining_start.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "cloze/base/rng.h"
#include "cloze/ops/truncated_svd.h"

namespace cloze {
namespace {

/// Deviation of words and positions beside the config's: with more the layers tell them apart sooner.
constexpr double kWider = 2;

Parameter& find(const ParameterList& parameters, const std::string& name) {
  const auto found = std::ranges::find(parameters, name, [](const Parameter* p) { return p->name; });
  CLOZE_CHECK(found != parameters.end(), ErrorCode::kInternal, "the model has no {}", name);
  return **found;
}

/// Row vectors of the co-occurrence table, all as long as random ones of `deviation` are.
Tensor word_vectors(Tensor information, int64_t H, double deviation, uint64_t seed) {
  const int64_t V = information.shape()[0], k = std::min({H, V, information.shape()[1]});
  const Tensor vectors({V, H}, DType::kF32);
  Rng rng(seed, RandomStream::kInit);
  for (float& value : vectors.values<float>()) value = static_cast<float>(rng.normal() * deviation);
  const TruncatedSvd svd = truncated_svd(information, k, seed);
  std::vector<double> row(k);
  for (int64_t w = 0; w < V; ++w) {
    double square = 0;
    for (int64_t i = 0; i < k; ++i) {
      row[i] = svd.u.data<float>()[w * k + i] * std::sqrt(svd.values[i]);
      square += row[i] * row[i];
    }
    if (square < 1e-12) continue;
    const double scale = deviation * std::sqrt(static_cast<double>(k) / square);
    for (int64_t i = 0; i < k; ++i) vectors.data<float>()[w * H + i] = static_cast<float>(row[i] * scale);
  }
  return vectors;
}

/// log((n + 1) / (N + V)) of token counts n.
Tensor log_frequencies(const std::vector<double>& counts) {
  const Tensor result({static_cast<int64_t>(counts.size())}, DType::kF32);
  double total = 0;
  for (const double count : counts) total += count + 1;
  for (size_t i = 0; i < counts.size(); ++i)
    result.data<float>()[i] = static_cast<float>(std::log((counts[i] + 1) / total));
  return result;
}

/// Radians a token of each pair of position columns. The first `local` pairs lie evenly between 0 and pi, each
/// somewhere in its own part of it, so that sum cos(f d) is about 0 for all distances d but 0, and no distance repeats
/// another. The others fall geometrically from 1 to 1e-4 (Vaswani et al., "Attention Is All You Need", 2017,
/// section 3.5).
std::vector<double> frequencies(int64_t pairs, int64_t local, uint64_t seed) {
  std::vector<double> result(pairs);
  Rng rng(seed, RandomStream::kInit, 1);
  for (int64_t i = 0; i < pairs; ++i)
    result[i] = i < local ? std::numbers::pi * (static_cast<double>(i) + rng.uniform()) / static_cast<double>(local)
                          : std::pow(10000.0, -static_cast<double>(i - local) / static_cast<double>(pairs - local));
  return result;
}

Tensor waves(const Shape& shape, const std::vector<double>& frequency, double deviation) {
  const Tensor table = Tensor::full(shape, DType::kF32, 0.0);
  const double height = std::numbers::sqrt2 * deviation;
  for (int64_t p = 0; p < shape[0]; ++p) {
    float* row = table.data<float>() + p * shape[1];
    for (size_t i = 0; i < frequency.size(); ++i) {
      const double angle = static_cast<double>(p) * frequency[i];
      row[2 * i] = static_cast<float>(height * std::sin(angle));
      row[2 * i + 1] = static_cast<float>(height * std::cos(angle));
    }
  }
  return table;
}

/// Query and key rows of one head, first row given: the product of a query at p and a key at p + offset is largest.
/// The key copies the local waves and the query turns its own ahead.
void look_at(float* query, float* key, int64_t H, const std::vector<double>& frequency, int64_t pairs, int64_t offset,
             float scale) {
  std::fill_n(query, 2 * pairs * H, 0.0F);
  std::fill_n(key, 2 * pairs * H, 0.0F);
  for (int64_t i = 0; i < pairs; ++i) {
    const int64_t sine = 2 * i, cosine = sine + 1;
    const double turn = frequency[i] * static_cast<double>(offset);
    const float c = scale * static_cast<float>(std::cos(turn)), s = scale * static_cast<float>(std::sin(turn));
    key[sine * H + sine] = key[cosine * H + cosine] = scale;
    query[sine * H + sine] = c;
    query[sine * H + cosine] = s;
    query[cosine * H + sine] = -s;
    query[cosine * H + cosine] = c;
  }
}

}  // namespace

void start_from_counts(const ParameterList& parameters, const BertConfig& config, Cooccurrence counts, uint64_t seed) {
  const int64_t H = config.hidden_size, N = config.num_attention_heads, D = H / N;
  const double deviation = kWider * config.initializer_range;
  to_positive_information(counts.counts);
  find(parameters, "bert.embeddings.word_embeddings.weight").set(word_vectors(counts.counts, H, deviation, seed));
  find(parameters, "cls.predictions.bias").set(log_frequencies(counts.frequency));

  const int64_t local = N > 1 ? D / 2 : 0;
  const std::vector<double> frequency = frequencies(H / 2, local, seed);
  Parameter& positions = find(parameters, "bert.embeddings.position_embeddings.weight");
  positions.set(waves(positions.shape, frequency, deviation));
  // After the embeddings' layer norm a share of each column's square is the position's; a head's scores are then
  // `kPeak` at the token that it looks at and spread around 0 elsewhere.
  constexpr double kPeak = 4.5;
  const double words = deviation * deviation, segments = config.initializer_range * config.initializer_range;
  const double share = words / (2 * words + segments);
  const float scale = static_cast<float>(std::sqrt(kPeak / (share * std::sqrt(static_cast<double>(D)))));
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string attention = fmt::format("bert.encoder.layer.{}.attention.self.", layer);
    Parameter &query = find(parameters, attention + "query.weight"), &key = find(parameters, attention + "key.weight");
    for (Parameter* side : {&query, &key}) side->initialize(seed, 1 / std::sqrt(static_cast<double>(H)));
    if (layer >= (config.num_hidden_layers + 1) / 2) continue;
    for (int64_t head = 0; head < N / 2; ++head) {
      const int64_t distance = head / 2 + 1;
      look_at(query.var.value().data<float>() + head * D * H, key.var.value().data<float>() + head * D * H, H,
              frequency, local, head % 2 == 0 ? -distance : distance, scale);
    }
  }
}

}  // namespace cloze
