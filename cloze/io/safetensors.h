// Safetensors files: reading by mmap, writing, and the index of a sharded checkpoint.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/io/safetensors_header.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

class SafetensorsFile {
 public:
  /// Maps the file and checks its whole header. Errors: kNotFound, kIo, kFormat.
  explicit SafetensorsFile(const Path& path);
  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  const Path& path() const { return file_->path(); }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// In the header's order.
  const std::vector<StoredTensor>& tensors() const { return header_.tensors; }
  /// nullptr if there is none of that name.
  const StoredTensor* find(std::string_view name) const;

  /// The tensor, which must be one of tensors(): a view of the mapping, which it keeps alive (writing to it changes
  /// this process only, never the file). It is aligned for its dtype, no further: when the file does not align it, it
  /// is a copy. Errors: kUnsupported for a dtype or a rank that Tensor has not.
  Tensor tensor(const StoredTensor& stored) const;
  /// Errors: also kNotFound.
  Tensor tensor(std::string_view name) const;

 private:
  std::shared_ptr<MappedFile> file_;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, size_t> by_name_;  ///< keys live in header_.tensors, whose buffer moves along
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Writes `tensors` in the given order, with "__metadata__" {"format": "pt", ...metadata}. The file appears whole or
/// not at all; equal input gives equal bytes. Errors: kIo; kValue for an empty, reserved, repeated or non-UTF-8 name,
/// an undefined tensor, or a header over 100 MB.
void write_safetensors(const Path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Tensor name -> file name, in the index's order.
using ShardMap = std::vector<std::pair<std::string, std::string>>;

/// The "weight_map" of a `model.safetensors.index.json`. File names are plain: no separators, no "..".
/// Errors: kNotFound, kIo, kFormat.
ShardMap read_shard_index(const Path& path);

}  // namespace cloze
