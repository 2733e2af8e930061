#include "cloze/backend/compact.h"

#include <vector>

#include "cloze/backend/int8.h"
#include "cloze/backend/sparse.h"

namespace cloze {
namespace {

/// Empty where one of them is of another form.
template <class Weight>
std::vector<const Weight*> all_as(std::span<const CompactWeight* const> parts) {
  std::vector<const Weight*> found;
  for (const CompactWeight* part : parts)
    if (const auto* weight = dynamic_cast<const Weight*>(part); weight != nullptr) found.push_back(weight);
  if (found.size() != parts.size()) found.clear();
  return found;
}

}  // namespace

std::unique_ptr<CompactWeight> join_compact(std::span<const CompactWeight* const> parts) {
  if (const auto int8 = all_as<Int8Weight>(parts); !int8.empty()) return std::make_unique<Int8Weight>(join_int8(int8));
  if (const auto sparse = all_as<SparseWeight>(parts); !sparse.empty())
    return std::make_unique<SparseWeight>(join_sparse(sparse));
  return nullptr;
}

}  // namespace cloze
