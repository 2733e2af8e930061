// What the inputs of a model's products span, measured on texts: for 8 bits whose scales do not change with each input.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>

#include "cloze/backend/int8.h"
#include "cloze/base/file.h"
#include "cloze/data/example.h"

namespace cloze {

struct Calibration {
  std::map<std::string, InputRange> ranges;  ///< by the name of each product of encoder layers
  int64_t tokens = 0;
};

/// Reads the rows with the encoder of a model directory, in floats; rows that are longer than the model takes are cut.
/// `progress` hears of sequences done; may be empty. Errors: kValue without rows, and
/// where a product reads numbers that are not finite; those of loading a model.
Calibration measure_inputs(const Path& model, std::span<const TextExample> rows,
                           const std::function<void(int64_t done, int64_t all)>& progress);

}  // namespace cloze
