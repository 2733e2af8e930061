#include "cloze/nn/perturbation.h"

#include <cmath>

namespace cloze {
namespace {

template <class T>
double sum_squares(const T* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

template <class T>
void scale_sequences(const Tensor& change, const Tensor& embeddings, const Tensor& offsets, double size) {
  const int64_t width = change.shape()[1];
  const auto begins = offsets.values<int32_t>();
  for (size_t b = 0; b + 1 < begins.size(); ++b) {
    T* values = change.data<T>() + begins[b] * width;
    const int64_t count = (begins[b + 1] - begins[b]) * width;
    const double squares = sum_squares(values, count),
                 own = sum_squares(embeddings.data<T>() + begins[b] * width, count);
    const double factor = squares > 0 ? size * std::sqrt(own / squares) : 0;
    for (int64_t i = 0; i < count; ++i) values[i] = static_cast<T>(factor * static_cast<double>(values[i]));
  }
}

}  // namespace

Var InputPerturbation::add_to(const Var& embeddings, const Tensor& offsets) {
  if (!turned_) {
    change_ = Var::leaf(Tensor::zeros(embeddings.shape(), embeddings.dtype()));
    embeddings_ = embeddings.value();
    offsets_ = offsets;
  }
  return add(embeddings, change_);
}

void InputPerturbation::turn() {
  CLOZE_CHECK(change_.defined() && change_.has_grad(), ErrorCode::kInternal,
              "the first pass must have gone forward and back");
  const Tensor r = change_.grad().clone();
  if (r.dtype() == DType::kF64)
    scale_sequences<double>(r, embeddings_, offsets_, size_);
  else
    scale_sequences<float>(r, embeddings_, offsets_, size_);
  change_ = Var(r);
  embeddings_ = {};
  turned_ = true;
}

}  // namespace cloze
