// The SIMD targets that every kernel file is compiled for; the best one that the processor has is chosen at run time.
// Those left out differ from a neighbour only in instructions that f32 kernels do not use.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
