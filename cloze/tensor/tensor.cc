#include "cloze/tensor/tensor.h"

#include <bit>
#include <cstring>

#include "cloze/tensor/storage.h"

namespace cloze {
namespace {

float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

/// IEEE 754 binary16 to binary32, subnormals, infinities and NaN included.
float f16_to_float(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = half >> 10 & 0x1Fu, fraction = half & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1.0p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

template <class From, class Convert>
void convert_into(const Tensor& source, const Tensor& target, Convert convert) {
  const From* from = static_cast<const From*>(source.raw());
  const int64_t n = source.elements();
  if (target.dtype() == DType::kF32) {
    float* to = target.data<float>();
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(convert(from[i]));
  } else {
    double* to = target.data<double>();
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<double>(convert(from[i]));
  }
}

}  // namespace

Tensor::Tensor(const Shape& shape, DType dtype)
    : memory_(allocate_pooled(shape.elements() * dtype_bytes(dtype))),
      data_(memory_.get()),
      shape_(shape),
      dtype_(dtype) {}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor tensor(shape, dtype);
  tensor.set_zero();
  return tensor;
}

Tensor Tensor::full(const Shape& shape, DType dtype, double value) {
  Tensor tensor(shape, dtype);
  if (dtype == DType::kF32) {
    std::ranges::fill(tensor.values<float>(), static_cast<float>(value));
  } else if (dtype == DType::kF64) {
    std::ranges::fill(tensor.values<double>(), value);
  } else if (dtype == DType::kI32) {
    std::ranges::fill(tensor.values<int32_t>(), static_cast<int32_t>(value));
  } else {
    fail(ErrorCode::kUnsupported, "[full] dtype {} cannot be filled", dtype_name(dtype));
  }
  return tensor;
}

Tensor Tensor::view(const Shape& shape, DType dtype, void* data, std::shared_ptr<void> owner) {
  Tensor tensor;
  tensor.memory_ = std::move(owner);
  tensor.data_ = data;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::copy_of(const Shape& shape, DType dtype, const void* data, int64_t count) {
  CLOZE_CHECK(count == shape.elements(), ErrorCode::kShape, "{} values for a tensor of shape {}", count, shape);
  Tensor tensor(shape, dtype);
  if (count > 0) std::memcpy(tensor.data_, data, static_cast<size_t>(tensor.bytes()));
  return tensor;
}

Tensor Tensor::reshape(const Shape& shape) const {
  CLOZE_CHECK(shape.elements() == elements(), ErrorCode::kShape, "cannot reshape {} to {}", shape_, shape);
  return view(shape, dtype_, data_, memory_);
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  CLOZE_CHECK(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], ErrorCode::kShape,
              "rows {} to {} of a tensor of shape {}", begin, end, shape_);
  std::array<int64_t, Shape::kMaxRank> dims{};
  std::ranges::copy(shape_.dims(), dims.begin());
  const int64_t row_bytes = shape_[0] == 0 ? 0 : bytes() / shape_[0];
  dims[0] = end - begin;
  return view(Shape(std::span<const int64_t>(dims.data(), shape_.size())), dtype_,
              static_cast<std::byte*>(data_) + begin * row_bytes, memory_);
}

Tensor Tensor::clone() const {
  Tensor copy(shape_, dtype_);
  copy.copy_from(*this);
  return copy;
}

void Tensor::copy_from(const Tensor& source) const {
  CLOZE_CHECK(source.shape_ == shape_ && source.dtype_ == dtype_, ErrorCode::kShape, "cannot copy {} {} into {} {}",
              dtype_name(source.dtype_), source.shape_, dtype_name(dtype_), shape_);
  if (bytes() > 0) std::memmove(data_, source.data_, static_cast<size_t>(bytes()));
}

void Tensor::set_zero() const {
  if (bytes() > 0) std::memset(data_, 0, static_cast<size_t>(bytes()));
}

Tensor to_float(const Tensor& source, DType dtype) {
  CLOZE_CHECK(dtype == DType::kF32 || dtype == DType::kF64, ErrorCode::kUnsupported, "[to_float] cannot convert to {}",
              dtype_name(dtype));
  if (source.dtype() == dtype) return source;
  Tensor target(source.shape(), dtype);
  switch (source.dtype()) {
    case DType::kF32:
      convert_into<float>(source, target, [](float v) { return v; });
      break;
    case DType::kF64:
      convert_into<double>(source, target, [](double v) { return v; });
      break;
    case DType::kF16:
      convert_into<uint16_t>(source, target, f16_to_float);
      break;
    case DType::kBF16:
      convert_into<uint16_t>(source, target, bf16_to_float);
      break;
    default:
      fail(ErrorCode::kUnsupported, "[to_float] cannot convert from {}", dtype_name(source.dtype()));
  }
  return target;
}

}  // namespace cloze
