#include "cloze/backend/random16.h"
#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

template <class Real>
void dropout_of(const DropoutArgs& a) {
  const Real* x = a.x.data<Real>();
  Real* y = a.y.data<Real>();
  Random16 random(a.dropout);
  for (int64_t i = 0; i < a.x.elements(); ++i) y[i] = a.dropout.active() ? x[i] * Real(random.factor(i)) : x[i];
}

}  // namespace

void RefBackend::dropout(const DropoutArgs& a) const {
  ref::for_float(a.x.dtype(), [&](auto zero) { dropout_of<decltype(zero)>(a); });
}

}  // namespace cloze
