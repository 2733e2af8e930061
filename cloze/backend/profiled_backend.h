// A backend that has another one do the work and books each call in a Profile: seconds, bytes and floating-point
// operations, a row for each kernel and, for products, for each K inputs and M outputs.
//
// Bytes are those of the tensors that a call must read and write, each once, and twice where it is changed in place; of
// embedding tables only the rows read. Floating-point operations are the useful ones of products and attention: 2 T K M
// for each product wanted, 4 S^2 H for a sequence of S tokens in attention and 8 S^2 H in its backward (the scores that
// it computes again are not counted); 0 elsewhere.
#pragma once

#include <memory>

#include "cloze/backend/backend.h"
#include "cloze/base/profile.h"

namespace cloze {

/// `inner`, which does the work with the same bits as without, and `profile` must outlive it. Its kernels may be called
/// by one thread at a time only, since the profile is not locked: put it in place with a BackendScope, which is one
/// thread's.
std::unique_ptr<Backend> profiled_backend(const Backend& inner, Profile& profile);

/// Measures what recording takes, over some thousand empty calls: about a millisecond.
ProfileCost measure_profile_cost();

}  // namespace cloze
