// The header of a safetensors file: 8 bytes of length (little endian), then JSON
// {"__metadata__": {string: string}, NAME: {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ...}.
// https://huggingface.co/docs/safetensors
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cloze {

/// The longest header that the reference implementation reads.
constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

/// One tensor as the header describes it. Any dtype of the format and any rank: what Cloze cannot use is refused when
/// it is asked for, not when the file is opened.
struct StoredTensor {
  std::string name;
  std::string dtype;            ///< the format's word, e.g. "F32", "I16"
  std::vector<int64_t> shape;   ///< each size and their product fit in 2^62
  uint64_t begin = 0, end = 0;  ///< bytes within the data, which starts at data_begin of the file
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<StoredTensor> tensors;  ///< in the header's order
  uint64_t data_begin = 0;
};

/// Reads the header of the whole file `bytes` and checks all of it against the file's size; `where` names the file.
/// When it returns, every byte range lies in the file, fits its dtype and shape, and the ranges cover the data exactly
/// once. Errors: kFormat.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes, std::string_view where);

}  // namespace cloze
