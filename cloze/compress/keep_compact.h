// What is stored compact stays so when parts of it go.
#pragma once

#include <cstdint>
#include <vector>

#include "cloze/io/safetensors.h"
#include "cloze/io/weights.h"
#include "cloze/model/checkpoint.h"

namespace cloze {

/// Of tensors that were cut from those of `source`, where the layer that is i now was layers[i]: what stood there in 8
/// bits is put in 8 bits again, each row by its own scale, and what stood without its zeros goes without them where
/// they are still many. Ranges of inputs that were measured are not kept: they were those of the whole model. The note
/// is for config.json. Errors: those of quantize_weight.
CompactNote keep_compact(std::vector<NamedTensor>& tensors, const Weights& source, const std::vector<int64_t>& layers);

}  // namespace cloze
