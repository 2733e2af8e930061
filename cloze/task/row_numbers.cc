#include "cloze/task/row_numbers.h"

#include <algorithm>
#include <bit>

#include "cloze/base/error.h"

namespace cloze {

SparseRows::SparseRows(const RowNumbers& numbers, std::span<const TextExample> rows, const std::string& file)
    : width_(numbers.width()) {
  constexpr size_t kRowsAtATime = 256;  // as dense rows
  for (size_t first = 0; first < rows.size(); first += kRowsAtATime) {
    const auto part = rows.subspan(first, std::min(kRowsAtATime, rows.size() - first));
    const Tensor dense = numbers.numbers(part, file);
    for (size_t n = 0; n < part.size(); ++n) {
      const float* row = dense.data<float>() + static_cast<int64_t>(n) * width_;
      for (int64_t d = 0; d < width_; ++d)
        if (row[d] != 0) {
          columns_.push_back(static_cast<int32_t>(d));
          values_.push_back(row[d]);
        }
      begin_.push_back(values_.size());
    }
  }
}

Tensor SparseRows::dense(std::span<const size_t> picked) const {
  const Tensor out = Tensor::zeros({static_cast<int64_t>(picked.size()), width_}, DType::kF32);
  float* to = out.data<float>();
  for (const size_t row : picked) {
    for (size_t i = begin_[row]; i < begin_[row + 1]; ++i) to[columns_[i]] = values_[i];
    to += width_;
  }
  return out;
}

Tensor SparseRows::times(const Tensor& weight) const {
  CLOZE_CHECK(weight.shape().rank() == 2 && weight.shape()[1] == width_, ErrorCode::kShape,
              "[times] weight must be [C,{}], got {}", width_, weight.shape());
  const int64_t C = weight.shape()[0];
  const size_t rows = begin_.size() - 1;
  const Tensor out({static_cast<int64_t>(rows), C}, DType::kF32);
  for (size_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < C; ++c) {
      const float* w = weight.data<float>() + c * width_;
      double sum = 0;
      for (size_t i = begin_[row]; i < begin_[row + 1]; ++i)
        sum += static_cast<double>(values_[i]) * static_cast<double>(w[columns_[i]]);
      out.data<float>()[static_cast<int64_t>(row) * C + c] = static_cast<float>(sum);
    }
  return out;
}

std::string SparseRows::hash() const {
  uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a over words
  const auto add = [&](uint64_t word) { hash = (hash ^ word) * 0x100000001B3u; };
  for (const size_t begin : begin_) add(begin);
  for (size_t i = 0; i < values_.size(); ++i) {
    add(static_cast<uint64_t>(columns_[i]));
    add(std::bit_cast<uint32_t>(values_[i]));
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace cloze
