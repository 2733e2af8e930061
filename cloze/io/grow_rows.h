// More rows for some tensors of a safetensors file; everything else as it is. For words added to a vocabulary.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

struct RowGrowth {
  int64_t first_row = 0;  ///< the new rows' place; rows that stand there already (padding) are replaced
  /// For each new row the old rows (below first_row) whose mean it starts as; at least one.
  std::vector<std::vector<int32_t>> sources;
};

struct GrownFile {
  std::vector<std::string> tensors;  ///< that have grown, as they are named in the file
  int64_t added_bytes = 0;
};

/// The names of tensors in `file` whose canonical name (bert_names.h) is one of `names`. Errors: those of
/// SafetensorsFile.
std::vector<std::string> tensors_named(const Path& file, std::span<const std::string_view> names);

/// Writes `from` to `to` with the tensors of tensors_named(from, names) grown, in their own dtype (means are taken in
/// float64). Metadata and all other tensors keep their bytes. Errors: kIo, kFormat; kShape for a tensor of fewer rows
/// than first_row; kUnsupported for one that is not F64, F32, F16 or BF16.
GrownFile grow_rows(const Path& from, const Path& to, std::span<const std::string_view> names, const RowGrowth& growth);

}  // namespace cloze
