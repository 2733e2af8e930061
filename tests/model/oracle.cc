#include "tests/model/oracle.h"

#include <algorithm>
#include <cmath>

#include "cloze/model/checkpoint.h"
#include "cloze/optim/adamw.h"
#include "tests/model/model_testing.h"
#include "tests/ops/gradient_check.h"

namespace cloze::test {
namespace {

struct Oracle {
  explicit Oracle(const Path& from)
      : dir(from),
        files(ModelFiles::open(from)),
        input(files.read_json("input.json")),
        train(files.read_json("train.json")) {
    batch = make_ragged_batch(input["ids"].get<Rows>(), input["segments"].get<Rows>());
  }
  Tensor ints(const char* key) const { return int_tensor(input[key].get<std::vector<int32_t>>()); }
  SafetensorsFile tensors(const char* name) const { return SafetensorsFile(dir / name); }

  Path dir;
  ModelFiles files;
  Json input, train;
  RaggedBatch batch;
};

BertWithHeads load(const Oracle& oracle, DType dtype) {
  BertWithHeads model(load_config(oracle.files));
  Weights weights(oracle.dir);
  const LoadReport report =
      load_parameters(weights, model.all_parameters(), 0, 0, [](const std::string&) { return false; });
  EXPECT_TRUE(report.unused.empty() && report.ignored.empty()) << report.text();
  for (Parameter* parameter : model.all_parameters()) parameter->set(to_float(parameter->var.value(), dtype));
  return model;
}

double largest(const Tensor& values) {
  double found = 0;
  for (int64_t i = 0; i < values.elements(); ++i) found = std::max(found, std::abs(element(values, i)));
  return found;
}

double difference(const Tensor& found, const Tensor& expected) {
  EXPECT_EQ(found.shape(), expected.shape());
  if (found.shape() != expected.shape()) return INFINITY;
  double most = 0;
  for (int64_t i = 0; i < found.elements(); ++i) {
    const double distance = std::abs(element(found, i) - element(expected, i));
    most = distance <= most ? most : distance;  // NaN is taken too
  }
  return most;
}

std::vector<Difference> compare_gradients(const SafetensorsFile& expected, const ParameterList& parameters) {
  std::vector<Difference> differences;
  for (const Parameter* parameter : parameters) {
    const StoredTensor* stored = expected.find(parameter->name);
    EXPECT_EQ(stored != nullptr, parameter->var.grad().defined()) << parameter->name;
    if (stored == nullptr || !parameter->var.grad().defined()) continue;
    std::string scale_name = parameter->name;
    if (const size_t at = scale_name.find("key.bias"); at != std::string::npos) scale_name.replace(at, 8, "query.bias");
    const double distance = difference(parameter->var.grad(), expected.tensor(*stored));
    differences.push_back({parameter->name, distance / largest(expected.tensor(scale_name))});
  }
  EXPECT_EQ(differences.size(), expected.tensors().size());
  return differences;
}

int64_t argmax(const Tensor& logits, int64_t row) {
  int64_t best = 0;
  for (int64_t c = 1; c < logits.shape()[1]; ++c)
    if (element(logits, row * logits.shape()[1] + c) > element(logits, row * logits.shape()[1] + best)) best = c;
  return best;
}

/// Outputs and the gradients of the heads' losses, from one recorded pass.
void compare_heads(const Oracle& oracle, BertWithHeads& model, OracleDifferences& result) {
  ForwardContext context;
  const Var hidden = model.bert.forward(oracle.batch, context), pooled = model.bert.pooled(hidden, oracle.batch);
  const Var words =
      model.masked_words.forward(gather_rows(hidden, oracle.ints("masked")), model.bert.word_embeddings());
  const Var tokens = model.classifier.forward(hidden, context), qa = model.answers.forward(hidden);
  const Var nsp = model.next_sentence.forward(pooled);
  const SafetensorsFile outputs = oracle.tensors("outputs.safetensors");
  const auto compare = [&](const char* name, const Tensor& found) {
    result.outputs.push_back({name, difference(found, outputs.tensor(name))});
  };
  compare("hidden", hidden.value());
  compare("pooled", pooled.value());
  compare("nsp", nsp.value());
  compare("classifier", model.classifier.forward(pooled, context).value());
  compare("tokens", tokens.value());
  compare("qa", qa.value());
  compare("mlm", words.value());

  result.argmax_differences = 0;
  const auto best = oracle.train["mlm_argmax"].get<std::vector<int64_t>>();
  for (int64_t t = 0; t < oracle.batch.tokens(); ++t) {
    const NoGrad no_grad;
    const Var row = gather_rows(Var(hidden.value()), int_tensor({static_cast<int32_t>(t)}));
    const Tensor scores = model.masked_words.forward(row, model.bert.word_embeddings()).value();
    result.argmax_differences += argmax(scores, 0) != best[static_cast<size_t>(t)];
  }

  const Var loss =
      sum_of({cross_entropy(nsp, oracle.ints("next_sentence")), cross_entropy(words, oracle.ints("masked_targets")),
              cross_entropy(tokens, oracle.ints("token_targets")), cross_entropy(qa, oracle.ints("qa_targets"))});
  backward(loss);
  result.head_gradients = compare_gradients(oracle.tensors("gradients_heads.safetensors"), model.all_parameters());
  for (const Parameter* parameter : model.all_parameters()) parameter->var.clear_grad();
  result.losses.push_back({"heads", std::abs(element(loss.value(), 0) - oracle.train["loss_heads"].get<double>())});
}

/// The loop of torch_bert.py's `train`.
void compare_training(const Oracle& oracle, BertWithHeads& model, OracleDifferences& result) {
  AdamW optimizer(model.classifier_parameters(), {.weight_decay = 0.01});
  const auto losses = oracle.train["losses"].get<std::vector<double>>();
  const auto norms = oracle.train["grad_norms"].get<std::vector<double>>();
  for (size_t step = 0; step < losses.size(); ++step) {
    ForwardContext context;
    const Var hidden = model.bert.forward(oracle.batch, context);
    const Var logits = model.classifier.forward(model.bert.pooled(hidden, oracle.batch), context);
    const Var loss = cross_entropy(logits, oracle.ints("labels"));
    backward(loss);
    if (step == 0)
      result.gradients = compare_gradients(oracle.tensors("gradients.safetensors"), model.all_parameters());
    const double norm = optimizer.gradient_norm();
    result.norms.push_back({fmt::format("step {}", step), std::abs(norm / norms[step] - 1)});
    result.losses.push_back({fmt::format("step {}", step), std::abs(element(loss.value(), 0) - losses[step])});
    optimizer.step(oracle.train["lr"].get<double>(), std::min(1.0, 1.0 / (norm + 1e-6)));
  }
}

}  // namespace

OracleDifferences compare_with_oracle(const Path& dir, DType dtype) {
  const Oracle oracle(dir);
  BertWithHeads model = load(oracle, dtype);
  OracleDifferences result;
  compare_heads(oracle, model, result);
  compare_training(oracle, model, result);
  return result;
}

Difference worst(const std::vector<Difference>& differences) {
  EXPECT_FALSE(differences.empty());
  Difference found = {"nothing", 0};
  for (const Difference& d : differences)
    if (!(d.value <= found.value)) found = d;
  return found;
}

}  // namespace cloze::test
