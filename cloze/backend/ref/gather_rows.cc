#include <algorithm>

#include "cloze/backend/ref/dispatch.h"
#include "cloze/backend/ref/ref_backend.h"

namespace cloze {
namespace {

using ref::add_scaled;
using ref::for_float;

template <class Real>
void gather_rows_of(const GatherRowsArgs& a) {
  const int64_t R = a.y.shape()[0], H = a.y.shape()[1];
  const int32_t* rows = a.rows.data<int32_t>();
  for (int64_t r = 0; r < R; ++r) std::copy_n(a.x.data<Real>() + rows[r] * H, H, a.y.data<Real>() + r * H);
}

template <class Real>
void gather_rows_backward_of(const GatherRowsBackwardArgs& a) {
  const int64_t R = a.dy.shape()[0], H = a.dy.shape()[1];
  const int32_t* rows = a.rows.data<int32_t>();
  a.dx.set_zero();
  for (int64_t r = 0; r < R; ++r) add_scaled(Real(1), a.dy.data<Real>() + r * H, a.dx.data<Real>() + rows[r] * H, H);
}

}  // namespace

void RefBackend::gather_rows(const GatherRowsArgs& a) const {
  for_float(a.x.dtype(), [&](auto zero) { gather_rows_of<decltype(zero)>(a); });
}

void RefBackend::gather_rows_backward(const GatherRowsBackwardArgs& a) const {
  for_float(a.dy.dtype(), [&](auto zero) { gather_rows_backward_of<decltype(zero)>(a); });
}

}  // namespace cloze
