// Models whose weights are stored in 8 bits, or as half-width floats.
//
// In 8 bits are the products of encoder layers, symmetric by output channel (backend/int8.h), which inference then
// computes in 8 bits, and the word embeddings, by row. Biases, layer norms, position embeddings, pooler and heads stay
// floats. A layer's attention and its feed-forward half are the parts that are chosen apart.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cloze/backend/int8.h"
#include "cloze/io/model_dir.h"
#include "cloze/model/bert_config.h"

namespace cloze {

/// "embeddings", then "layer.0.attention", "layer.0.ffn", … of the halves that there are.
std::vector<std::string> int8_parts(const BertConfig& config);
/// Names from a user. Errors: kUsage for one that is not among `known`, with the nearest.
void check_parts(const std::vector<std::string>& names, const std::vector<std::string>& known);

struct QuantizeOptions {
  std::vector<std::string> int8;  ///< parts, of int8_parts()
  std::optional<DType> floats;    ///< of all other floats: kF32, kF16 or kBF16; nullopt: as they are stored
  /// By product of encoder layers ("bert.encoder.layer.0.output.dense.weight"): what its inputs span (calibrate.h). Of
  /// those that are not here each row of inputs has a range of its own.
  std::map<std::string, InputRange> inputs = {};
};

/// How a model is stored: the parts of which every weight is in 8 bits, and the type of all of its floats (nullopt
/// where they are of several). Ranges of inputs are left out. Errors: those of Weights.
QuantizeOptions stored_form(const Path& model);

/// Writes the model of folder `from` into folder `to`, with its tokenizer and whatever else stands there. What is in 8
/// bits already stays as it is to the bit where it is to be 8 bits, and becomes floats where not. config.json says
/// so (CompactNote). Errors: kUnsupported for classifiers on a frozen encoder; those of Weights and of
/// quantize_weight().
void write_quantized(const Path& from, const Path& to, const QuantizeOptions& options);

}  // namespace cloze
