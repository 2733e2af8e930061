#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using ref::add_scaled;
using ref::for_float;

template <class Real>
void embed_of(const EmbedArgs& a) {
  const int64_t T = a.y.shape()[0], H = a.y.shape()[1];
  const int32_t *ids = a.ids.data<int32_t>(), *positions = a.positions.data<int32_t>();
  const int32_t* segments = a.segments.data<int32_t>();
  const Real *word = a.word.data<Real>(), *position = a.position.data<Real>(), *segment = a.segment.data<Real>();
  Real* y = a.y.data<Real>();
  for (int64_t t = 0; t < T; ++t)
    for (int64_t h = 0; h < H; ++h)
      y[t * H + h] = word[ids[t] * H + h] + position[positions[t] * H + h] + segment[segments[t] * H + h];
}

/// table[index[t]] += dy[t] for every t, in order.
template <class Real>
void add_rows(const Tensor& index, const Tensor& dy, const Tensor& table) {
  if (!table.defined()) return;
  const int64_t T = dy.shape()[0], H = dy.shape()[1];
  const int32_t* rows = index.data<int32_t>();
  for (int64_t t = 0; t < T; ++t) add_scaled(Real(1), dy.data<Real>() + t * H, table.data<Real>() + rows[t] * H, H);
}

}  // namespace

void RefBackend::embed(const EmbedArgs& a) const {
  for_float(a.y.dtype(), [&](auto zero) { embed_of<decltype(zero)>(a); });
}

void RefBackend::embed_backward(const EmbedBackwardArgs& a) const {
  for_float(a.dy.dtype(), [&](auto zero) {
    add_rows<decltype(zero)>(a.ids, a.dy, a.dword);
    add_rows<decltype(zero)>(a.positions, a.dy, a.dposition);
    add_rows<decltype(zero)>(a.segments, a.dy, a.dsegment);
  });
}

}  // namespace cloze
