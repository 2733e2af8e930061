#include "cloze/cli/scratch_model.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/cli/memory.h"

namespace cloze::cli {

BertConfig scratch_config(const ScratchModel& model) {
  for (const int64_t number : {model.layers, model.hidden, model.heads, model.intermediate})
    CLOZE_CHECK(number >= 0, ErrorCode::kUsage,
                "--layers, --hidden, --heads and --intermediate must not be negative, got {}", number);
  BertConfig config = BertConfig::preset(model.size.empty() ? "tiny" : model.size);
  if (model.layers > 0) config.num_hidden_layers = model.layers;
  if (model.hidden > 0) {
    config.hidden_size = model.hidden;
    config.intermediate_size = 4 * model.hidden;
    config.num_attention_heads = std::max<int64_t>(1, model.hidden / 64);
  }
  if (model.heads > 0) config.num_attention_heads = model.heads;
  if (model.intermediate > 0) config.intermediate_size = model.intermediate;
  config = BertConfig::from_json(config.to_json(), "the model asked for");  // the same checks as for a file
  check_memory(config);
  return config;
}

}  // namespace cloze::cli
