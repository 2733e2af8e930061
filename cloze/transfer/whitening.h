// Whitening of sentence vectors: y = (x - mean) W, so that over the fitted rows the components are uncorrelated, of
// variance 1, and cosine similarity is no longer ruled by a few directions (Su, Cao, Liu and Ou, "Whitening Sentence
// Representations for Better Semantics and Faster Retrieval", 2021). D width before, K after.
#pragma once

#include "cloze/base/file.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

struct Whitening {
  Tensor mean;    ///< [D] F32
  Tensor kernel;  ///< W [D,K] F32: eigenvectors of the covariance over the root of their eigenvalues, largest first
  int64_t width() const { return kernel.shape()[1]; }
};

/// On x [N,D] F32. `width` K: the K directions of largest variance; 0: all that vary. Errors: kValue for fewer than two
/// rows, vectors that are not finite, or more directions asked than vary (with how many do).
Whitening fit_whitening(const Tensor& x, int64_t width);
/// [N,D] -> [N,K]. Errors: kShape where the widths differ.
Tensor whiten(const Whitening& whitening, const Tensor& x);

/// As a safetensors file of the tensors "mean" and "kernel". Errors: kIo; loading also kFormat, kNotFound, kShape and
/// kValue.
void save_whitening(const Path& path, const Whitening& whitening);
Whitening load_whitening(const Path& path);

}  // namespace cloze
