// `cloze bench`: seconds a pass over rows of random ids, for inference and for training steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cloze/backend/backend.h"
#include "cloze/base/file.h"
#include "cloze/nn/context.h"
#include "cloze/optim/adamw.h"
#include "cloze/train/tuning_options.h"

namespace cloze {

enum class MeasureMode : uint8_t { kInfer, kTrain };

struct MeasureOptions {
  Path model;
  MeasureMode mode = MeasureMode::kInfer;
  std::vector<int64_t> lengths;           ///< tokens of each row, in order
  int64_t batch = 8;                      ///< rows a forward pass
  int64_t runs = 5;                       ///< timed passes, after one untimed
  Precision precision = Precision::kF32;  ///< kInt8: inference; kBF16: training
  Activations activations = Activations::kKept;
  MomentType moments = MomentType::kAsParameter;
  TuningOptions tuning = {};  ///< of training
};

struct Measurement {
  double seconds_median, seconds_min;
  double
      gflops;  ///< floating-point operations of real tokens, 10^9 a second, by the median; training counts 3 forwards
  double rows_per_s;
  int64_t peak_bytes;  ///< highest resident memory of the process
};

/// A pass over all rows in order. Training is forward, backward, clipping to 1.0 and AdamW over all trained parameters,
/// with dropout. Errors: those of loading; kValue for a length that the model cannot take.
Measurement measure(const MeasureOptions& options);

/// Lengths, one a line. Errors: kFormat, kNotFound.
std::vector<int64_t> read_lengths(const Path& path);

/// Highest resident memory of this process so far.
int64_t peak_resident_bytes();

struct TokenizeMeasurement {
  double mb_per_s, lines_per_s;
};
/// Tokenizes the file's lines `runs` times on the thread team; the median.
TokenizeMeasurement measure_tokenizer(const Path& model, const Path& input, int64_t runs);

}  // namespace cloze
