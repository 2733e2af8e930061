#include "cloze/compress/calibrate.h"

#include <cmath>

#include "cloze/base/error.h"
#include "cloze/model/bert.h"
#include "cloze/model/checkpoint.h"
#include "cloze/optim/zero_mask.h"
#include "cloze/task/batches.h"

namespace cloze {

Calibration measure_inputs(const Path& model, std::span<const TextExample> rows,
                           const std::function<void(int64_t done, int64_t all)>& progress) {
  CLOZE_CHECK(!rows.empty(), ErrorCode::kValue, "there are no rows to measure inputs on");
  const ModelFiles files = ModelFiles::open(model);
  const BertConfig config = load_config(files);
  const Tokenizer tokenizer = Tokenizer::load(model);
  check_vocabulary(tokenizer, config, model.string());
  const RowLimits limits = resolve_limits({}, tokenizer, config, files.path(ModelFiles::kConfig).string());
  Bert bert(config, Pooler::kWithout);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights{model};
  load_parameters(weights, parameters, 0, 0, [](const std::string&) { return false; });
  const ParameterList products = encoder_products(parameters);
  for (Parameter* product : products) product->seen = std::make_shared<InputRange>();
  const EncodedRows encoded = encode_rows(tokenizer, rows, limits);
  const NoGrad no_grad;
  Calibration found;
  for (const auto& [begin, end] : token_batches(encoded.sequences)) {
    ForwardContext context;
    const RaggedBatch batch = join_sequences(encoded.sequences, begin, end);
    found.tokens += bert.forward(batch, context).shape()[0];
    if (progress) progress(static_cast<int64_t>(end), std::ssize(encoded.sequences));
  }
  for (const Parameter* product : products) {
    const InputRange& seen = *product->seen;
    CLOZE_CHECK(std::isfinite(seen.hi - seen.lo), ErrorCode::kValue,
                "{}: what {} reads spans {} to {} on these rows; a scale of 8 bits wants finite numbers",
                model.string(), product->name, seen.lo, seen.hi);
    found.ranges.emplace(product->name, seen);
  }
  return found;
}

}  // namespace cloze
