// The SIMD targets that every kernel file is compiled for; the best one that the processor has is chosen at run time.
// Those left out differ from a neighbour only in instructions that f32 kernels do not use.
#pragma once

#ifdef CLOZE_WANT_VNNI
#define HWY_WANT_AVX3_DL
#define HWY_DISABLED_TARGETS HWY_SSSE3
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#endif
