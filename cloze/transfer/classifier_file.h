// What reading a classifier's files checks.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "cloze/base/json.h"
#include "cloze/io/safetensors.h"

namespace cloze {

/// The member `key`, which must be one of `words`. Errors: kFormat.
std::string one_of(const Json& settings, const char* key, std::initializer_list<std::string_view> words,
                   const std::string& where);

/// The file holds these tensors and no others. Errors: kFormat.
void check_tensor_names(const SafetensorsFile& file, std::initializer_list<std::string_view> names);

/// The tensor, of this shape and type and finite. Errors: kFormat, kValue.
Tensor read_tensor(const SafetensorsFile& file, std::string_view name, const Shape& shape, DType dtype);

}  // namespace cloze
