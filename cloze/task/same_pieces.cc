#include "cloze/task/same_pieces.h"

namespace cloze {

bool same_pieces(const Tokenizer& a, const Tokenizer& b) {
  if (a.size() != b.size() || a.options().normalizer.lowercase != b.options().normalizer.lowercase) return false;
  for (int32_t id = 0; id < static_cast<int32_t>(a.size()); ++id)
    if (a.token(id) != b.token(id)) return false;
  return true;
}

}  // namespace cloze
