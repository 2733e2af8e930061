// A pretrained encoder with its tokenizer, whose weights stay as they are: texts in, vectors out.
#pragma once

#include <memory>
#include <span>

#include "cloze/model/checkpoint.h"
#include "cloze/task/batches.h"
#include "cloze/task/task.h"
#include "cloze/transfer/pooling.h"

namespace cloze {

struct FrozenEncoder {
  BertConfig config;
  Tokenizer tokenizer;
  RowLimits limits;
  Bert bert;            ///< frozen
  Precision precision;  ///< of its products
  LoadReport report;
};

/// The encoder of a model directory, whatever heads it has beside. The pooler is read where `poolings` need it.
/// Errors: kNotFound for weights that are not there, the pooler with what to take instead; kUsage for poolings that the
/// model cannot give; those of load_config, Weights, load_parameters and resolve_limits.
std::unique_ptr<FrozenEncoder> load_frozen_encoder(const ModelFiles& files, const Poolings& poolings,
                                                   const LengthOptions& lengths, Precision precision = Precision::kF32);

/// Writes a model directory of the encoder alone, its weights as `stored`. Errors: kIo.
void save_frozen_encoder(const FrozenEncoder& encoder, const ModelFiles& files, DType stored);

/// Of each row: [rows,D] F32. Of a row that is read in windows, the mean of their vectors.
Tensor row_vectors(const FrozenEncoder& encoder, const EncodedRows& rows, const Poolings& poolings);

/// Divides each row of x [N,D] by its Euclidean length; a row of zeros stays.
void normalize_rows(const Tensor& x);

}  // namespace cloze
