#include "cloze/compress/measure_models.h"

#include <algorithm>
#include <memory>

#include "cloze/base/rng.h"
#include "cloze/compress/pass_timer.h"
#include "cloze/model/bert.h"
#include "cloze/model/checkpoint.h"

namespace cloze {
namespace {

struct LoadedModel {
  std::unique_ptr<Bert> bert;
  std::vector<std::vector<RaggedBatch>> batches;  ///< of each workload

  void pass(size_t workload) const {
    const NoGrad no_grad;
    for (const RaggedBatch& batch : batches[workload]) {
      ForwardContext context;
      if (bert->has_pooler())
        bert->pooled_only(batch, context);
      else
        bert->forward(batch, context);
    }
  }
};

std::vector<RaggedBatch> random_batches(const Workload& workload, const BertConfig& config) {
  Rng rng(1, RandomStream::kTest);
  std::vector<RaggedBatch> batches;
  for (size_t begin = 0; begin < workload.lengths.size(); begin += static_cast<size_t>(workload.batch)) {
    const size_t end = std::min(workload.lengths.size(), begin + static_cast<size_t>(workload.batch));
    std::vector<std::vector<int32_t>> ids(end - begin);
    for (size_t i = begin; i < end; ++i)
      for (int64_t t = 0; t < std::min(workload.lengths[i], config.max_position_embeddings); ++t)
        ids[i - begin].push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(config.vocab_size))));
    batches.push_back(make_ragged_batch(ids, {}));
  }
  return batches;
}

LoadedModel load_model(const Path& folder, std::span<const Workload> workloads) {
  const BertConfig config = load_config(ModelFiles::open(folder));
  Weights weights{folder};
  const bool pooler = has_pooler(folder);
  LoadedModel model{std::make_unique<Bert>(config, pooler ? Pooler::kWith : Pooler::kWithout), {}};
  ParameterList parameters;
  model.bert->collect(parameters);
  load_parameters(
      weights, parameters, 0, 0, [](const std::string&) { return false; }, Compact::kKeep);
  model.bert->freeze(pooler ? EncoderLayer::Rows::kPicked : EncoderLayer::Rows::kAll);
  for (const Workload& workload : workloads) model.batches.push_back(random_batches(workload, config));
  return model;
}

}  // namespace

bool has_pooler(const Path& model) {
  return Weights(model).has("bert.pooler.dense.weight");
}

std::vector<std::vector<double>> time_models(std::span<const Path> models, std::span<const Workload> workloads,
                                             int64_t runs) {
  std::vector<LoadedModel> loaded;
  for (const Path& model : models) loaded.push_back(load_model(model, workloads));
  std::vector<std::vector<double>> seconds(models.size());
  for (size_t w = 0; w < workloads.size(); ++w) {
    std::vector<Pass> passes;
    for (const LoadedModel& model : loaded) passes.push_back([&model, w] { model.pass(w); });
    const std::vector<double> least = time_passes(passes, {.runs = runs, .least_seconds = 1}, PassClock::kWall);
    for (size_t m = 0; m < models.size(); ++m) seconds[m].push_back(least[m]);
  }
  return seconds;
}

double time_beside(const Path& before, const Path& after, const Workload& workload, int64_t runs) {
  const LoadedModel first = load_model(before, {&workload, 1}), second = load_model(after, {&workload, 1});
  return times_as_fast([&] { first.pass(0); }, [&] { second.pass(0); }, {.runs = runs, .least_seconds = 1});
}

ModelSize model_size(const Path& folder) {
  const Weights weights{folder};
  ModelSize size{0, 0};
  for (const std::string& name : weights.names()) size.parameters += weights.shape_of(name)->elements();
  for (const Path& file : weights.files()) size.bytes += static_cast<int64_t>(std::filesystem::file_size(file));
  return size;
}

}  // namespace cloze
