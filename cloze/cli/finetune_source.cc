#include "cloze/cli/finetune_source.h"

#include <algorithm>

#include "cloze/cli/memory.h"

namespace cloze::cli {
namespace {

BertConfig scratch_config(const Source& source) {
  BertConfig config = BertConfig::preset(source.size.empty() ? "tiny" : source.size);
  if (source.layers > 0) config.num_hidden_layers = source.layers;
  if (source.hidden > 0) {
    config.hidden_size = source.hidden;
    config.intermediate_size = 4 * source.hidden;
    config.num_attention_heads = std::max<int64_t>(1, source.hidden / 64);
  }
  if (source.heads > 0) config.num_attention_heads = source.heads;
  config = BertConfig::from_json(config.to_json(), "the model asked for");  // the same checks as for a file
  check_memory(config);
  return config;
}

}  // namespace

TrainingSource resolve(const Source& s, const TableFlags& table, int64_t seed) {
  CLOZE_CHECK(!s.task.empty() && !s.train.empty(), ErrorCode::kUsage, "--task, --train and --output are needed");
  CLOZE_CHECK(s.from_scratch == s.model.empty(), ErrorCode::kUsage, "{}",
              s.from_scratch ? "--model and --from-scratch exclude each other"
                             : "where to start from? Give --model DIR, or --from-scratch --vocab FILE");
  CLOZE_CHECK(!s.from_scratch || !s.vocab.empty(), ErrorCode::kUsage,
              "--from-scratch needs --vocab: a vocab.txt or a model directory");
  CLOZE_CHECK(s.from_scratch ||
                  (s.vocab.empty() && s.size.empty() && s.layers == 0 && s.hidden == 0 && s.heads == 0 && !s.cased),
              ErrorCode::kUsage,
              "--vocab, --cased, --size, --layers, --hidden and --heads go with --from-scratch only");
  for (const int64_t size : {s.layers, s.hidden, s.heads, s.max_length})
    CLOZE_CHECK(size >= 0, ErrorCode::kUsage,
                "--layers, --hidden, --heads and --max-length must not be negative, got {}", size);
  CLOZE_CHECK(s.dropout < 1 && s.label_smoothing >= 0 && s.label_smoothing < 1, ErrorCode::kUsage,
              "--dropout and --label-smoothing must be below 1, got {} and {}", s.dropout, s.label_smoothing);
  // Before the aggregate: g++ 12 destroys members that it never made when an initialiser throws.
  const ExampleOptions examples = table.resolve();
  TrainingSource source{.model = s.model,
                        .vocab = s.vocab,
                        .cased = s.cased,
                        .scratch_config = {},
                        .train = s.train,
                        .dev = s.dev,
                        .examples = examples,
                        .lengths = {.max_length = s.max_length, .long_texts = s.long_texts, .stride = s.stride},
                        .label_smoothing = s.label_smoothing,
                        .class_weights = s.class_weights,
                        .dropout = s.dropout,
                        .seed = static_cast<uint64_t>(seed)};
  if (s.from_scratch) source.scratch_config = scratch_config(s);
  return source;
}

}  // namespace cloze::cli
