// Which weights a model directory holds, in few characters.
#pragma once

#include <string>

#include "cloze/base/file.h"

namespace cloze {

/// Of every tensor that the directory holds, but those of forms that Cloze does not read, which no answer hangs on: it
/// is to notice another teacher, not to withstand an attacker. Errors: those of Weights.
std::string model_checksum(const Path& model);

}  // namespace cloze
