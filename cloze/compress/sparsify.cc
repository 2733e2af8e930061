#include "cloze/compress/sparsify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cloze/backend/sparse.h"
#include "cloze/compress/tensor_parts.h"
#include "cloze/compress/write_model.h"
#include "cloze/model/checkpoint.h"

namespace cloze {
namespace {

bool is_product(const std::string& name) {
  const std::optional<LayerName> layer = layer_name(name);
  return layer && layer->rest.ends_with(".weight") && layer->rest.find("LayerNorm") == std::string::npos;
}

/// Such a share of the places in `worth`: those of the smallest; of equal ones the first, on every machine.
std::vector<uint32_t> least_of(const std::vector<double>& worth, double share) {
  const auto count = static_cast<std::ptrdiff_t>(std::llround(share * static_cast<double>(worth.size())));
  std::vector<uint32_t> order(worth.size());
  std::iota(order.begin(), order.end(), 0u);
  if (count == 0) return {};
  std::ranges::nth_element(order, order.begin() + (count - 1),
                           [&](uint32_t a, uint32_t b) { return worth[a] != worth[b] ? worth[a] < worth[b] : a < b; });
  order.resize(static_cast<size_t>(count));
  return order;
}

/// What matters least at 0, `outputs` rows of each column at a time; `score` may be undefined.
Tensor thinned(const Tensor& weight, const Tensor& score, double share, int64_t outputs) {
  const Tensor result = weight.clone();
  const int64_t M = weight.shape()[0], K = weight.shape()[1], blocks = (M + outputs - 1) / outputs;
  // Those that are 0 already go first.
  std::vector<double> worth(static_cast<size_t>(blocks * K));
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t k = 0; k < K; ++k) {
      const int64_t first = block * outputs, last = std::min(first + outputs, M);
      double sum = 0;
      bool any = false;
      for (int64_t m = first; m < last; ++m) {
        const double value = static_cast<double>(weight.data<float>()[m * K + k]);
        if (value == 0) continue;
        any = true;
        sum += score.defined() ? static_cast<double>(score.data<float>()[m * K + k]) : value * value;
      }
      worth[static_cast<size_t>(block * K + k)] =
          any ? sum / static_cast<double>(last - first) : -std::numeric_limits<double>::infinity();
    }
  for (const uint32_t i : least_of(worth, share))
    for (int64_t m = i / K * outputs; m < std::min((i / K + 1) * outputs, M); ++m)
      result.data<float>()[m * K + i % K] = 0.0f;
  return result;
}

Tensor score_of(const WeightScores& scores, const std::string& name, const Shape& shape) {
  if (scores.empty()) return {};
  const auto found = scores.find(name);
  CLOZE_CHECK(found != scores.end(), ErrorCode::kNotFound, "there are no scores for {}", name);
  CLOZE_CHECK(found->second.shape() == shape, ErrorCode::kShape, "{} is {}, its scores are {}", name, shape,
              found->second.shape());
  return found->second;
}

}  // namespace

void write_sparse(const Path& from, const Path& to, double share, const WeightScores& scores, ZeroPattern pattern) {
  const BertConfig config = load_config(ModelFiles::open(from));
  refuse_frozen_classifier(config, from);
  Weights weights(from);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : canonical_names(weights)) {
    Tensor value = *weights.find(name);
    if (value.dtype() == DType::kF32) {
      check_finite(value, name, weights.file_of(name).string());
      if (is_product(name) && value.shape().rank() == 2)
        value = thinned(value, score_of(scores, name, value.shape()), share,
                        pattern == ZeroPattern::kBlocks ? kSparseGroup : 1);
      if (const DType type = weights.stored_type(name); type != DType::kF32) value = to_half(value, type);
    }
    tensors.push_back({name, value});
  }
  copy_model_rest(weights, from, to);
  const ModelFiles files = ModelFiles::create(to);
  Json json = config.to_json();
  CompactNote{.sparse = store_sparse(tensors)}.write(json);
  files.write_json(ModelFiles::kConfig, json);
  write_safetensors(files.path(ModelFiles::kWeights), tensors);
}

bool stores_sparse(const Weights& weights) {
  return std::ranges::any_of(weights.names(), [&](const std::string& name) { return weights.is_sparse(name); });
}

bool store_sparse(std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> stored;
  bool any = false;
  for (NamedTensor& tensor : tensors) {
    const DType type = tensor.tensor.dtype();
    const bool floats = type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
    const Tensor value = is_product(tensor.name) && floats ? to_float(tensor.tensor, DType::kF32) : Tensor();
    if (value.defined() && value.shape().rank() == 2 && zero_share(value) >= kStoreSparseFrom) {
      append_sparse(stored, tensor.name, sparse_weight(value), type);
      any = true;
    } else {
      stored.push_back(std::move(tensor));
    }
  }
  tensors = std::move(stored);
  return any;
}

double sparsity_of(const Path& model) {
  Weights weights(model);
  double zeros = 0, all = 0;
  for (const std::string& name : canonical_names(weights)) {
    if (!is_product(name)) continue;
    const Tensor value = *weights.find(name);
    if (value.dtype() != DType::kF32) continue;
    zeros += static_cast<double>(std::ranges::count(value.values<float>(), 0.0f));
    all += static_cast<double>(value.elements());
  }
  return all == 0 ? 0 : zeros / all;
}

double sparsity_at(double last, int64_t round, int64_t rounds) {
  const double left = 1 - static_cast<double>(round) / static_cast<double>(rounds);
  return last * (1 - left * left * left);
}

}  // namespace cloze
