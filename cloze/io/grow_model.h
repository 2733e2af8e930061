// A model directory with more words in its embedding table.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cloze/io/grow_rows.h"

namespace cloze {

struct GrownModel {
  int64_t rows = 0;                     ///< of the word embeddings now; vocab_size in config.json
  std::vector<std::string> tensors;     ///< that have grown
  std::vector<std::string> not_copied;  ///< folders, weights in forms that Cloze does not write, the state of a run
};

/// Copies the model directory `from` into the folder `to`, which must be there: word embeddings, and the bias and the
/// decoder of the masked-word head where the files have them, with more rows; vocab_size in config.json and the size in
/// an index of shards to match; all other files as they are, but those of the names in `skip`, which the caller writes.
/// Errors: kNotFound (no weights, no word embeddings), kIo, kFormat, kShape, kUnsupported.
GrownModel grow_model(const Path& from, const Path& to, const RowGrowth& growth, std::span<const std::string> skip);

}  // namespace cloze
