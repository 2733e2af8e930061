#include "cloze/task/pretrained.h"

#include <fmt/ranges.h>

#include <cstring>

#include "cloze/model/checkpoint.h"
#include "cloze/task/batches.h"

namespace cloze {
namespace {

/// Hugging Face's "tie_word_embeddings": false with a decoder of its own would be read wrongly, not just ignored.
void check_decoder(Weights& weights, const Pretrained& loaded, const std::string& where) {
  constexpr const char* kDecoder = "cls.predictions.decoder.weight";
  if (json_bool_or(loaded.config.source, "tie_word_embeddings", true, where) || !weights.has(kDecoder)) return;
  const Tensor& words = loaded.model.decoder_weight().value();
  const Tensor own = weights.get(kDecoder, words.shape());
  CLOZE_CHECK(std::memcmp(own.raw(), words.raw(), static_cast<size_t>(words.bytes())) == 0, ErrorCode::kUnsupported,
              "{}: \"tie_word_embeddings\" is false and {} is not the word embeddings; only tied ones are supported",
              where, kDecoder);
}

}  // namespace

std::unique_ptr<Pretrained> load_pretrained(const ModelFiles& files, const LoadOptions& options, PretrainingHeads heads,
                                            const char* task, const char* where_from) {
  BertConfig config = load_config(files);
  const std::string where = files.path(ModelFiles::kConfig).string();
  Weights weights{files.dir()};
  PretrainingModel model(config, heads);
  std::vector<std::string> missing;
  for (const Parameter* parameter : model.parameters()) {
    const bool of_head = parameter->name.starts_with("cls.") || parameter->name.starts_with("bert.pooler.");
    if (of_head && !weights.has(parameter->name)) missing.push_back(parameter->name);
  }
  CLOZE_CHECK(missing.empty(), ErrorCode::kNotFound,
              "{} has no head for {}: it lacks {}. Checkpoints of {} have it, and those of cloze pretrain",
              files.dir().string(), task, fmt::join(missing, ", "), where_from);
  Tokenizer tokenizer = Tokenizer::load(files.dir());
  check_vocabulary(tokenizer, config, files.dir().string());
  const RowLimits limits = resolve_limits(options.lengths, tokenizer, config, where);
  auto loaded = std::make_unique<Pretrained>(
      Pretrained{std::move(config), std::move(tokenizer), limits, std::move(model), LoadReport()});
  loaded->report = load_parameters(
      weights, loaded->model.parameters(), 0, 0, [](const std::string&) { return false; }, Compact::kKeep);
  if (heads.masked_words) check_decoder(weights, *loaded, where);
  loaded->model.freeze_with_heads(options.precision);
  return loaded;
}

}  // namespace cloze
