#include "cloze/backend/sparse.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace cloze {
namespace {

void check_depth(int64_t depth) {
  CLOZE_CHECK(depth <= std::numeric_limits<int32_t>::max(), ErrorCode::kShape, "[sparse] a weight of {} inputs", depth);
}

SparseWeight empty_weight(int64_t columns, int64_t depth, int64_t count) {
  check_depth(depth);
  SparseWeight weight;
  weight.columns = columns;
  weight.depth = depth;
  weight.starts = Tensor({columns + 1}, DType::kI64);
  weight.places = Tensor({count}, DType::kI32);
  weight.values = Tensor({count}, DType::kF32);
  weight.starts.data<int64_t>()[0] = 0;
  return weight;
}

/// Finds the groups of rows with the same places.
void find_shared(SparseWeight& weight) {
  const int64_t groups = (weight.columns + kSparseGroup - 1) / kSparseGroup;
  weight.shared = Tensor::zeros({groups}, DType::kU8);
  const auto places_of = [&](int64_t m) {
    const int64_t* starts = weight.starts.data<int64_t>();
    return std::span(weight.places.data<int32_t>() + starts[m], static_cast<size_t>(starts[m + 1] - starts[m]));
  };
  for (int64_t first = 0; first + kSparseGroup <= weight.columns; first += kSparseGroup) {
    bool same = true;
    for (int64_t m = first + 1; m < first + kSparseGroup; ++m)
      same = same && std::ranges::equal(places_of(m), places_of(first));
    weight.shared.data<uint8_t>()[first / kSparseGroup] = same ? 1 : 0;
  }
}

}  // namespace

double zero_share(const Tensor& weight) {
  const auto values = weight.values<float>();
  if (values.empty()) return 0;
  return static_cast<double>(std::ranges::count(values, 0.0f)) / static_cast<double>(values.size());
}

double SparseWeight::zeros() const {
  const int64_t all = columns * depth;
  return all == 0 ? 0 : 1 - static_cast<double>(values.elements()) / static_cast<double>(all);
}

double SparseWeight::shared_rows() const {
  const auto groups = std::ranges::count(shared.values<uint8_t>(), uint8_t{1});
  return columns == 0 ? 0 : static_cast<double>(groups * kSparseGroup) / static_cast<double>(columns);
}

Tensor SparseWeight::expand() const {
  const Tensor dense = Tensor::zeros({columns, depth}, DType::kF32);
  for (int64_t m = 0; m < columns; ++m)
    for (int64_t e = starts.data<int64_t>()[m]; e < starts.data<int64_t>()[m + 1]; ++e)
      dense.data<float>()[m * depth + places.data<int32_t>()[e]] = values.data<float>()[e];
  return dense;
}

SparseWeight sparse_weight(const Tensor& weight) {
  const auto all = weight.values<float>();
  const int64_t M = weight.shape()[0], K = weight.shape()[1];
  SparseWeight sparse = empty_weight(M, K, std::ssize(all) - std::ranges::count(all, 0.0f));
  int64_t at = 0;
  for (int64_t m = 0; m < M; ++m) {
    const float* row = weight.data<float>() + m * K;
    for (int64_t k = 0; k < K; ++k) {
      if (row[k] == 0.0f) continue;
      sparse.places.data<int32_t>()[at] = static_cast<int32_t>(k);
      sparse.values.data<float>()[at++] = row[k];
    }
    sparse.starts.data<int64_t>()[m + 1] = at;
  }
  find_shared(sparse);
  return sparse;
}

SparseWeight sparse_weight(const Tensor& bits, const Tensor& values, int64_t depth) {
  check_depth(depth);
  const int64_t M = bits.shape()[0], bytes = bits.shape()[1];
  const auto all = bits.values<uint8_t>();
  int64_t count = 0;
  for (const uint8_t byte : all) count += std::popcount(byte);
  CLOZE_CHECK(count == values.elements() && bytes == (depth + 7) / 8, ErrorCode::kValue,
              "[sparse] {} bits of {} bytes a row stand for {} numbers of rows of {}", count, bytes, values.elements(),
              depth);
  SparseWeight sparse = empty_weight(M, depth, count);
  sparse.values = values;
  int64_t at = 0;
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t b = 0; b < bytes; ++b)
      for (unsigned left = all[static_cast<size_t>(m * bytes + b)]; left != 0; left &= left - 1)
        sparse.places.data<int32_t>()[at++] = static_cast<int32_t>(8 * b + std::countr_zero(left));
    CLOZE_CHECK(at == 0 || sparse.places.data<int32_t>()[at - 1] < depth, ErrorCode::kValue,
                "[sparse] row {} has a number at place {} of {}", m, sparse.places.data<int32_t>()[at - 1], depth);
    sparse.starts.data<int64_t>()[m + 1] = at;
  }
  find_shared(sparse);
  return sparse;
}

Tensor sparse_bits(const SparseWeight& weight) {
  const int64_t bytes = (weight.depth + 7) / 8;
  const Tensor bits = Tensor::zeros({weight.columns, bytes}, DType::kU8);
  for (int64_t m = 0; m < weight.columns; ++m)
    for (int64_t e = weight.starts.data<int64_t>()[m]; e < weight.starts.data<int64_t>()[m + 1]; ++e) {
      const int32_t k = weight.places.data<int32_t>()[e];
      bits.data<uint8_t>()[m * bytes + k / 8] |= static_cast<uint8_t>(1u << (k % 8));
    }
  return bits;
}

SparseWeight join_sparse(std::span<const SparseWeight* const> parts) {
  int64_t M = 0, count = 0;
  for (const SparseWeight* part : parts) {
    M += part->columns;
    count += part->values.elements();
  }
  SparseWeight joined = empty_weight(M, parts[0]->depth, count);
  M = count = 0;
  for (const SparseWeight* part : parts) {
    const int64_t end = count + part->values.elements();
    joined.places.rows(count, end).copy_from(part->places);
    joined.values.rows(count, end).copy_from(part->values);
    for (int64_t m = 0; m < part->columns; ++m)
      joined.starts.data<int64_t>()[++M] = count + part->starts.data<int64_t>()[m + 1];
    count = end;
  }
  find_shared(joined);
  return joined;
}

}  // namespace cloze
