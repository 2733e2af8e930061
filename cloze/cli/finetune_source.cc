#include "cloze/cli/finetune_source.h"

#include "cloze/cli/scratch_model.h"

namespace cloze::cli {
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
  CLOZE_CHECK(s.max_length >= 0, ErrorCode::kUsage, "--max-length must not be negative, got {}", s.max_length);
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
  if (s.from_scratch) source.scratch_config = scratch_config({s.size, s.layers, s.hidden, s.heads, 0});
  return source;
}

}  // namespace cloze::cli
