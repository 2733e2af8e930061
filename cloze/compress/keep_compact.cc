#include "cloze/compress/keep_compact.h"

#include <optional>
#include <string>
#include <utility>

#include "cloze/compress/sparsify.h"
#include "cloze/compress/tensor_parts.h"

namespace cloze {

CompactNote keep_compact(std::vector<NamedTensor>& tensors, const Weights& source, const std::vector<int64_t>& layers) {
  const auto was = [&](const std::string& name) {
    const std::optional<LayerName> of = layer_name(name);
    return of ? layer_tensor(layers.at(static_cast<size_t>(of->layer)), of->rest) : name;
  };
  CompactNote note;
  std::vector<NamedTensor> kept;
  for (NamedTensor& tensor : tensors) {
    if (source.is_int8(was(tensor.name))) {
      append_int8(kept, tensor.name, quantize_weight(tensor.tensor));
      note.int8 = true;
    } else {
      kept.push_back(std::move(tensor));
    }
  }
  tensors = std::move(kept);
  note.sparse = stores_sparse(source) && store_sparse(tensors);
  return note;
}

}  // namespace cloze
