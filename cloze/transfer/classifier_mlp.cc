#include "cloze/transfer/classifier_mlp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cloze/base/rng.h"
#include "cloze/optim/adamw.h"
#include "cloze/optim/schedule.h"
#include "cloze/transfer/classifier_file.h"
#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

constexpr int64_t kBatch = 64, kPatience = 8, kFewestForHoldingOut = 20, kMostUnits = 65536;
constexpr int64_t kHeldOutFolds = 10;

/// The rows of one batch: vectors, targets and how much each counts.
struct Batch {
  Tensor x, targets, weights;
};

Batch pick(const LabelledVectors& data, const Tensor& z, std::span<const size_t> rows) {
  const int64_t n = static_cast<int64_t>(rows.size()), d = z.shape()[1];
  Batch batch{Tensor({n, d}, DType::kF32), Tensor({n}, DType::kI32), {}};
  if (!data.weights.empty()) batch.weights = Tensor({n}, DType::kF32);
  for (int64_t i = 0; i < n; ++i) {
    const size_t row = rows[static_cast<size_t>(i)];
    std::ranges::copy(row_of(z, static_cast<int64_t>(row)), batch.x.data<float>() + i * d);
    batch.targets.data<int32_t>()[i] = data.labels[row];
    if (batch.weights.defined()) batch.weights.data<float>()[i] = data.weights[row];
  }
  return batch;
}

Tensor standardised(const Tensor& x, const ColumnScale& scale) {
  const int64_t d = x.shape()[1];
  const Tensor z(x.shape(), DType::kF32);
  for (int64_t row = 0; row < x.shape()[0]; ++row)
    for (int64_t j = 0; j < d; ++j)
      z.data<float>()[row * d + j] =
          static_cast<float>(scale.standard(static_cast<size_t>(j), static_cast<double>(x.data<float>()[row * d + j])));
  return z;
}

/// U z + a in terms of x.
void fold_scale(const ColumnScale& scale, ParameterList parameters) {
  const Tensor weight = parameters[0]->var.value().clone(), bias = parameters[1]->var.value().clone();
  const int64_t units = weight.shape()[0], d = weight.shape()[1];
  for (int64_t u = 0; u < units; ++u) {
    double shift = static_cast<double>(bias.data<float>()[u]);
    for (int64_t j = 0; j < d; ++j) {
      float& w = weight.data<float>()[u * d + j];
      const double deviation = scale.deviation[static_cast<size_t>(j)];
      const double own = deviation > 0 ? static_cast<double>(w) / deviation : 0;
      shift -= own * scale.mean[static_cast<size_t>(j)];
      w = static_cast<float>(own);
    }
    bias.data<float>()[u] = static_cast<float>(shift);
  }
  parameters[0]->set(weight);
  parameters[1]->set(bias);
}

/// Which rows train and which are held out.
struct Split {
  std::vector<size_t> train, held_out;
};

Split split_rows(const LabelledVectors& data, uint64_t seed) {
  Split split;
  std::vector<int64_t> counts(static_cast<size_t>(data.classes));
  for (const int label : data.labels) ++counts[static_cast<size_t>(label)];
  Rng rng(seed, RandomStream::kShuffle, 0x50000000);
  for (size_t row = 0; row < data.labels.size(); ++row) {
    // By chance, not dealt out: a class with few rows keeps them for training.
    const bool rare = counts[static_cast<size_t>(data.labels[row])] < kHeldOutFolds;
    const bool held =
        rng.below(kHeldOutFolds) == 0 && !rare && static_cast<int64_t>(data.labels.size()) >= kFewestForHoldingOut;
    (held ? split.held_out : split.train).push_back(row);
  }
  return split;
}

}  // namespace

MlpClassifier::MlpClassifier(int64_t dimension, int64_t hidden, int classes)
    : Classifier("mlp", dimension, classes),
      units_(hidden),
      hidden_("hidden", dimension, hidden),
      output_("output", hidden, classes) {}

Var MlpClassifier::forward(const Var& x) const {
  return output_.forward(hidden_.forward(x, Activation::kGelu));
}

ParameterList MlpClassifier::parameters() {
  ParameterList list;
  hidden_.collect(list);
  output_.collect(list);
  return list;
}

Tensor MlpClassifier::score_rows(const Tensor& x) const {
  const NoGrad no_grad;
  return forward(Var(x)).value();
}

Tensor MlpClassifier::probability_rows(const Tensor& x) const {
  return softmax_rows(score_rows(x), 1);
}

Json MlpClassifier::settings() const {
  return {{"hidden", units_}};
}

std::vector<NamedTensor> MlpClassifier::tensors() const {
  MlpClassifier copy = *this;  // shares the values
  std::vector<NamedTensor> tensors;
  for (const Parameter* parameter : copy.parameters()) tensors.push_back({parameter->name, parameter->var.value()});
  return tensors;
}

std::unique_ptr<Classifier> MlpClassifier::load(int64_t dimension, int classes, const Json& settings,
                                                const SafetensorsFile& file, const std::string& where) {
  check_tensor_names(file, {"hidden.weight", "hidden.bias", "output.weight", "output.bias"});
  const int64_t units = json_int(settings, "hidden", where);
  CLOZE_CHECK(units >= 1 && units <= kMostUnits, ErrorCode::kFormat, "{}: \"hidden\" is {}, expected 1 to {}", where,
              units, kMostUnits);
  auto classifier = std::make_unique<MlpClassifier>(dimension, units, classes);
  for (Parameter* parameter : classifier->parameters())
    parameter->set(read_tensor(file, parameter->name, parameter->shape, DType::kF32));
  return classifier;
}

std::unique_ptr<Classifier> fit_mlp(const LabelledVectors& data, const ClassifierOptions& options, uint64_t seed) {
  const int64_t d = data.x.shape()[1];
  auto classifier = std::make_unique<MlpClassifier>(d, options.mlp_hidden, data.classes);
  const ParameterList parameters = classifier->parameters();
  parameters[0]->initialize(seed, 1 / std::sqrt(static_cast<double>(d)));
  parameters[1]->initialize(seed, 0);
  parameters[2]->initialize(seed, 1 / std::sqrt(static_cast<double>(options.mlp_hidden)));
  parameters[3]->initialize(seed, 0);
  const ColumnScale scale = column_scale(data.x);
  const Tensor z = standardised(data.x, scale);
  Split split = split_rows(data, seed);
  const bool holds_out = !split.held_out.empty();
  const Batch held_out = pick(data, z, split.held_out);
  AdamW optimizer(parameters, {});
  const int64_t batches = (static_cast<int64_t>(split.train.size()) + kBatch - 1) / kBatch;
  const Schedule schedule{options.mlp_learning_rate, 0, batches * options.mlp_epochs, Decline::kLinear};
  double least = std::numeric_limits<double>::infinity();
  int64_t best_epoch = options.mlp_epochs, step = 0;
  std::vector<Tensor> best;
  for (int64_t epoch = 1; epoch <= options.mlp_epochs; ++epoch) {
    Rng rng(seed, RandomStream::kShuffle, 0x60000000 + static_cast<uint32_t>(epoch));
    for (size_t i = split.train.size(); i > 1; --i) std::swap(split.train[i - 1], split.train[rng.below(i)]);
    for (size_t begin = 0; begin < split.train.size(); begin += kBatch) {
      const size_t count = std::min<size_t>(kBatch, split.train.size() - begin);
      const Batch batch = pick(data, z, std::span(split.train).subspan(begin, count));
      const Var loss = cross_entropy(classifier->forward(Var(batch.x)), batch.targets, {}, 0, batch.weights);
      backward(loss);
      optimizer.step(schedule.rate(step++), 1);
    }
    if (!holds_out) continue;
    const NoGrad no_grad;
    const Var loss = cross_entropy(classifier->forward(Var(held_out.x)), held_out.targets, {}, 0, held_out.weights);
    const double value = static_cast<double>(loss.value().data<float>()[0]);
    if (value < least) {
      least = value;
      best_epoch = epoch;
      best.clear();
      for (const Parameter* parameter : parameters) best.push_back(parameter->var.value().clone());
    } else if (epoch - best_epoch >= kPatience) {
      break;
    }
  }
  for (size_t i = 0; i < best.size(); ++i) parameters[i]->set(best[i]);
  fold_scale(scale, parameters);
  classifier->summary.push_back(
      holds_out ? fmt::format("{} hidden units, epoch {} of {}: loss {:.4f} on {} held-out rows", options.mlp_hidden,
                              best_epoch, options.mlp_epochs, least, split.held_out.size())
                : fmt::format("{} hidden units, {} epochs; too few rows to hold some out", options.mlp_hidden,
                              options.mlp_epochs));
  return classifier;
}

}  // namespace cloze
