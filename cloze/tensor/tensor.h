// A dense row-major array: dtype, shape, shared memory. No arithmetic. Copies of a Tensor share its memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cloze/tensor/dtype.h"
#include "cloze/tensor/shape.h"

namespace cloze {

class Tensor {
 public:
  Tensor() = default;  ///< undefined: defined() is false
  /// Fresh, uninitialised memory.
  Tensor(const Shape& shape, DType dtype);

  static Tensor zeros(const Shape& shape, DType dtype);
  static Tensor full(const Shape& shape, DType dtype, double value);
  /// A copy of `values`. Errors: kShape if the count differs from the shape's.
  template <class T>
  static Tensor of(const Shape& shape, const std::vector<T>& values) {
    return copy_of(shape, DTypeOf<T>::value, values.data(), static_cast<int64_t>(values.size()));
  }
  /// Memory that `owner` keeps alive (a mapped file): shared, not copied.
  static Tensor view(const Shape& shape, DType dtype, void* data, std::shared_ptr<void> owner);

  bool defined() const { return memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  int64_t elements() const { return defined() ? shape_.elements() : 0; }
  int64_t bytes() const { return elements() * dtype_bytes(dtype_); }

  /// Elements as T. Errors: kInternal if the dtype is another one.
  template <class T>
  T* data() const {
    CLOZE_CHECK(dtype_bytes(dtype_) == sizeof(T) && (dtype_ == DTypeOf<T>::value || sizeof(T) <= 2),
                ErrorCode::kInternal, "tensor {} of {} asked for {}", shape_, dtype_name(dtype_),
                dtype_name(DTypeOf<T>::value));
    return static_cast<T*>(data_);
  }
  template <class T>
  std::span<T> values() const {
    return {data<T>(), static_cast<size_t>(elements())};
  }
  void* raw() const { return data_; }

  /// The same memory in another shape of equal count.
  Tensor reshape(const Shape& shape) const;
  /// Rows [begin, end) of the first dimension: the same memory.
  Tensor rows(int64_t begin, int64_t end) const;
  /// An own copy of the elements.
  Tensor clone() const;
  /// Writes all elements of `source`, which has the same shape and dtype, here.
  void copy_from(const Tensor& source) const;
  void set_zero() const;

 private:
  static Tensor copy_of(const Shape& shape, DType dtype, const void* data, int64_t count);

  std::shared_ptr<void> memory_;
  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::kF32;
};

/// `source` (F32, F64, F16, BF16) in the float type `dtype` (kF32 or kF64); the same tensor if it is that already.
/// Errors: kUnsupported for integer sources.
Tensor to_float(const Tensor& source, DType dtype);

/// An F32 tensor in half the width, kF16 or kBF16, rounded to the nearest, ties to even. Errors: kUnsupported for other
/// types; kValue where a finite element is too large for F16 (65520 and more).
Tensor to_half(const Tensor& source, DType dtype);

}  // namespace cloze
