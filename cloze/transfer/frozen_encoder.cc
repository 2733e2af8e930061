#include "cloze/transfer/frozen_encoder.h"

#include <cmath>
#include <cstring>

namespace cloze {

std::unique_ptr<FrozenEncoder> load_frozen_encoder(const ModelFiles& files, const Poolings& poolings,
                                                   const LengthOptions& lengths, Precision precision) {
  BertConfig config = load_config(files);
  check_poolings(poolings, config);
  Weights weights{files.dir()};
  const bool pooler = needs_pooler(poolings);
  CLOZE_CHECK(!pooler || weights.has("bert.pooler.dense.weight"), ErrorCode::kNotFound,
              "{} has no pooler (tensor \"bert.pooler.dense.weight\"): take another pooling, e.g. mean or cls",
              files.dir().string());
  Tokenizer tokenizer = Tokenizer::load(files.dir());
  check_vocabulary(tokenizer, config, files.dir().string());
  const RowLimits limits = resolve_limits(lengths, tokenizer, config, files.path(ModelFiles::kConfig).string());
  Bert bert(config, pooler ? Pooler::kWith : Pooler::kWithout);
  auto encoder = std::make_unique<FrozenEncoder>(
      FrozenEncoder{std::move(config), std::move(tokenizer), limits, std::move(bert), precision, LoadReport()});
  ParameterList parameters;
  encoder->bert.collect(parameters);
  encoder->report = load_parameters(
      weights, parameters, 0, 0, [](const std::string&) { return false; }, Compact::kKeep);
  encoder->bert.freeze(EncoderLayer::Rows::kAll, precision);
  return encoder;
}

void save_frozen_encoder(const FrozenEncoder& encoder, const ModelFiles& files, DType stored) {
  BertConfig config = encoder.config;
  config.architecture = "BertModel";
  note_limits(encoder.limits, config);
  encoder.tokenizer.save(files.dir());
  Bert bert = encoder.bert;  // shares the weights
  ParameterList parameters;
  bert.collect(parameters);
  files.write_json(ModelFiles::kConfig, config_json(config, parameters));
  save_parameters(files, parameters, stored);
}

Tensor row_vectors(const FrozenEncoder& encoder, const EncodedRows& rows, const Poolings& poolings) {
  const int64_t D = vector_width(poolings, encoder.config);
  const Tensor vectors({static_cast<int64_t>(rows.sequences.size()), D}, DType::kF32);
  for (const auto& [begin, end] : token_batches(rows.sequences)) {
    const Tensor part = sequence_vectors(encoder.bert, join_sequences(rows.sequences, begin, end), poolings);
    std::memcpy(vectors.data<float>() + static_cast<int64_t>(begin) * D, part.raw(), static_cast<size_t>(part.bytes()));
  }
  return mean_over_windows(vectors, rows);
}

void normalize_rows(const Tensor& x) {
  const int64_t D = x.shape()[1];
  for (int64_t n = 0; n < x.shape()[0]; ++n) {
    float* row = x.data<float>() + n * D;
    double square = 0;
    for (int64_t d = 0; d < D; ++d) square += static_cast<double>(row[d]) * static_cast<double>(row[d]);
    if (square == 0) continue;
    const double scale = 1 / std::sqrt(square);
    for (int64_t d = 0; d < D; ++d) row[d] = static_cast<float>(static_cast<double>(row[d]) * scale);
  }
}

}  // namespace cloze
