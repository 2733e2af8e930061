// NumPy's .npy files of matrices (format version 1.0, "numpy.lib.format"): little-endian float32, row-major.
#pragma once

#include "cloze/base/file.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

/// Writes a matrix row by row, of a count that is known only in the end. Without commit() no file appears.
class NpyWriter {
 public:
  /// `width`: elements a row, at least 1. Errors: kIo.
  NpyWriter(const Path& path, int64_t width);
  /// Rows x [N,width] F32. Errors: kShape, kIo.
  void append(const Tensor& x);
  int64_t rows() const { return rows_; }
  void commit();

 private:
  AtomicFile file_;
  int64_t width_, rows_ = 0;
};

/// A matrix [N,D] F32, mapped. Errors: kNotFound, kIo; kFormat for a broken header or a size that it does not bear out;
/// kUnsupported for another version, dtype, order or number of dimensions, with what was found.
Tensor read_npy(const Path& path);

}  // namespace cloze
