#include "cloze/transfer/choose_pooling.h"

#include <algorithm>

#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

constexpr size_t kMostRows = 2000;
constexpr size_t kMostBytes = size_t{512} << 20;

EncodedRows pick_rows(const EncodedRows& rows, std::span<const size_t> picked) {
  EncodedRows some;
  for (const size_t row : picked) {
    for (size_t i = rows.begin[row]; i < rows.begin[row + 1]; ++i) some.sequences.push_back(rows.sequences[i]);
    some.begin.push_back(some.sequences.size());
    some.dropped.push_back(rows.dropped[row]);
  }
  return some;
}

Tensor columns_of(const Tensor& x, int64_t first, int64_t width) {
  const int64_t N = x.shape()[0], D = x.shape()[1];
  const Tensor part({N, width}, DType::kF32);
  for (int64_t n = 0; n < N; ++n) std::copy_n(x.data<float>() + n * D + first, width, part.data<float>() + n * width);
  return part;
}

/// Vectors of all candidates side by side, and the classes of their rows.
struct Sample {
  Tensor vectors;
  std::vector<int> labels;
  std::vector<float> weights;  ///< of the rows; empty: 1 each
};

Sample take(const FrozenEncoder& encoder, const LabelledRows& from, std::span<const size_t> picked,
            const Poolings& poolings) {
  Sample sample{row_vectors(encoder, pick_rows(from.rows, picked), poolings), {}, {}};
  for (const size_t row : picked) {
    sample.labels.push_back(from.labels[row]);
    if (!from.class_weights.empty())
      sample.weights.push_back(from.class_weights[static_cast<size_t>(from.labels[row])]);
  }
  return sample;
}

/// The share of rows of x that are right, by weight.
double share_right(const Classifier& classifier, const Tensor& x, const Sample& rows) {
  const Tensor scores = classifier.scores(x);
  const int64_t C = scores.shape()[1];
  double right = 0, all = 0;
  for (size_t i = 0; i < rows.labels.size(); ++i) {
    const float* row = scores.data<float>() + static_cast<int64_t>(i) * C;
    const double weight = rows.weights.empty() ? 1.0 : static_cast<double>(rows.weights[i]);
    right += std::max_element(row, row + C) - row == rows.labels[i] ? weight : 0.0;
    all += weight;
  }
  return all > 0 ? right / all : 0;
}

}  // namespace

Poolings pooling_candidates(const FrozenEncoder& encoder) {
  std::string list = "mean,cls,max,first-last";
  const int64_t layers = encoder.config.num_hidden_layers;
  if (encoder.bert.has_pooler()) list += ",pooler";
  if (layers >= 4) list += ",last4-mean,last4-concat";
  for (int64_t layer = layers - 1; layer >= 0; --layer) {
    list += fmt::format(",layer={}", layer);
    if (layer > 0) list += fmt::format(",cls@layer={}", layer);  // of layer 0 it is the same for all texts
  }
  return parse_poolings(list);
}

PoolingChoice choose_pooling(const FrozenEncoder& encoder, const LabelledRows& train, const LabelledRows& dev,
                             const std::vector<std::string>& names, const ClassifierOptions& options, bool normalize,
                             uint64_t seed) {
  const Poolings poolings = pooling_candidates(encoder);
  const size_t row_bytes = static_cast<size_t>(vector_width(poolings, encoder.config)) * sizeof(float);
  // Enough of each class for the folds that each fit asks for.
  const auto least = static_cast<size_t>(options.folds == 0 ? kDefaultFolds : std::max<int64_t>(options.folds, 2));
  const size_t most = std::max(std::min(kMostBytes / 2 / row_bytes, kMostRows), names.size() * 2);
  const LabelledVectors all{{}, train.labels, static_cast<int>(names.size()), {}, names};
  const LabelledVectors asked{{}, dev.labels, static_cast<int>(names.size()), {}, names};
  const Sample train_sample = take(encoder, train, stratified_sample(all, most, least, seed), poolings);
  const Sample dev_sample = take(encoder, dev, stratified_sample(asked, most, 1, seed), poolings);
  PoolingChoice choice;
  choice.table = fmt::format("{:<16} {:>6} {:>9}   ({} rows fitted, {} dev rows asked{})\n", "pooling", "width",
                             "accuracy", train_sample.labels.size(), dev_sample.labels.size(),
                             dev_sample.weights.empty() ? "" : ", by the weights of their classes");
  int64_t best_width = 0, column = 0;
  double best = -1;
  for (const Pooling& pooling : poolings) {
    const int64_t width = vector_width({pooling}, encoder.config);
    const Tensor x = columns_of(train_sample.vectors, column, width);
    const Tensor y = columns_of(dev_sample.vectors, column, width);
    column += width;
    if (normalize) normalize_rows(x), normalize_rows(y);
    const LabelledVectors data{x, train_sample.labels, static_cast<int>(names.size()), train_sample.weights, names};
    const double right = share_right(*fit_classifier(data, options, seed), y, dev_sample);
    choice.table += fmt::format("{:<16} {:>6} {:>9.4f}\n", pooling.text(), width, right);
    if (right > best || (right == best && width < best_width)) {
      best = right;
      best_width = width;
      choice.best = pooling;
    }
  }
  choice.table += fmt::format("chosen: {}", choice.best.text());
  return choice;
}

}  // namespace cloze
