#include "cloze/backend/backend.h"

namespace cloze {
namespace {

thread_local const Backend* chosen_backend = nullptr;

}  // namespace

const Backend& backend() {
  return chosen_backend != nullptr ? *chosen_backend : cpu_backend();
}

BackendScope::BackendScope(const Backend& chosen) : previous_(chosen_backend) {
  chosen_backend = &chosen;
}
BackendScope::~BackendScope() {
  chosen_backend = previous_;
}

}  // namespace cloze
