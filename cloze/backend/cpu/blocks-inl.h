// Per-target: long arrays in blocks that the team shares.
#if defined(CLOZE_BACKEND_CPU_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CLOZE_BACKEND_CPU_BLOCKS_INL_H_
#undef CLOZE_BACKEND_CPU_BLOCKS_INL_H_
#else
#define CLOZE_BACKEND_CPU_BLOCKS_INL_H_
#endif

#include <algorithm>

#include "cloze/base/thread_team.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cloze {
namespace HWY_NAMESPACE {

/// Elements in blocks of 4096: the unit of sharing, so that block borders do not depend on the threads.
constexpr int64_t kBlockElements = 4096;

template <class Work>
void for_blocks(int64_t n, const Work& work) {
  const int64_t blocks = (n + kBlockElements - 1) / kBlockElements;
  thread_team().for_ranges(blocks, 4, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) work(b, b * kBlockElements, std::min(n, (b + 1) * kBlockElements));
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace cloze
HWY_AFTER_NAMESPACE();

#endif
