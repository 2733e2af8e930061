#include "cloze/compress/sparsify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cloze/compress/quantize.h"
#include "cloze/compress/write_model.h"
#include "random_model.h"

namespace cloze {
namespace {

TEST(Sparsify, TheSmallestOfEachProductGo) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  write_sparse(dir.path() / "a", dir.path() / "s", 0.75);
  EXPECT_NEAR(sparsity_of(dir.path() / "a"), 0, 1e-9);
  EXPECT_NEAR(sparsity_of(dir.path() / "s"), 0.75, 0.01);
  Weights before{dir.path() / "a"}, after{dir.path() / "s"};
  for (const std::string& name : before.names()) {
    const Shape shape = *before.shape_of(name);
    const Tensor a = before.get(name, shape), b = after.get(name, shape);
    const bool product = name.find("encoder.layer") != std::string::npos && shape.rank() == 2;
    float largest_gone = 0, smallest_left = 1e9f;
    for (int64_t i = 0; i < a.elements(); ++i) {
      const float x = a.data<float>()[i], y = b.data<float>()[i];
      if (y == x)
        smallest_left = std::min(smallest_left, std::abs(x));
      else
        largest_gone = std::max(largest_gone, std::abs(x));
      ASSERT_TRUE(y == x || (product && y == 0)) << name;
    }
    EXPECT_TRUE(!product || largest_gone <= smallest_left) << name;
  }
}

TEST(Sparsify, BlocksAreFourOutputsOfOneInputAndTheSmallestGo) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  write_sparse(dir.path() / "a", dir.path() / "s", 0.75, {}, ZeroPattern::kBlocks);
  EXPECT_NEAR(sparsity_of(dir.path() / "s"), 0.75, 0.01);
  Weights before{dir.path() / "a"}, after{dir.path() / "s"};
  int products = 0;
  for (const std::string& name : before.names()) {
    const Shape shape = *before.shape_of(name);
    if (name.find("encoder.layer") == std::string::npos || shape.rank() != 2) continue;
    ++products;
    const Tensor a = before.get(name, shape), b = after.get(name, shape);
    const int64_t M = shape[0], K = shape[1];
    double largest_gone = 0, smallest_left = 1e9;
    for (int64_t first = 0; first < M; first += 4)
      for (int64_t k = 0; k < K; ++k) {
        double square = 0;
        int64_t zeros = 0;
        const int64_t rows = std::min<int64_t>(4, M - first);
        for (int64_t m = first; m < first + rows; ++m) {
          const float x = a.data<float>()[m * K + k], y = b.data<float>()[m * K + k];
          square += static_cast<double>(x) * static_cast<double>(x) / static_cast<double>(rows);
          if (y == 0) ++zeros;
          ASSERT_TRUE(y == 0 || y == x) << name;
        }
        ASSERT_TRUE(zeros == 0 || zeros == rows) << name << ": a block goes whole";
        (zeros == 0 ? smallest_left : largest_gone) =
            zeros == 0 ? std::min(smallest_left, square) : std::max(largest_gone, square);
      }
    EXPECT_LE(largest_gone, smallest_left) << name;
  }
  EXPECT_GE(products, 6);
}

TEST(Sparsify, ByScoresAfterTheZerosThatAreThere) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  write_sparse(dir.path() / "a", dir.path() / "half", 0.5);
  Weights before{dir.path() / "half"};
  WeightScores scores;
  for (const std::string& name : before.names())
    if (name.find("encoder.layer") != std::string::npos && before.shape_of(name)->rank() == 2) {
      Tensor score = Tensor::zeros(*before.shape_of(name), DType::kF32);
      for (int64_t i = 0; i < score.elements(); ++i) score.data<float>()[i] = static_cast<float>(i) - 5000;
      scores.emplace(name, score);
    }
  write_sparse(dir.path() / "half", dir.path() / "s", 0.75, scores);
  Weights after{dir.path() / "s"};
  for (const auto& [name, score] : scores) {
    const Tensor a = before.get(name, score.shape()), b = after.get(name, score.shape());
    bool one_stays = false;
    for (int64_t i = 0; i < a.elements(); ++i) {
      const float x = a.data<float>()[i], y = b.data<float>()[i];
      EXPECT_TRUE(x != 0 || y == 0);
      one_stays |= y != 0;
      EXPECT_FALSE(x != 0 && y == 0 && one_stays) << name << ": what goes comes before what stays, for scores rise";
    }
    EXPECT_NEAR(static_cast<double>(std::ranges::count(b.values<float>(), 0.0f)),
                0.75 * static_cast<double>(b.elements()), 1);
  }
  const auto refused = [&](const WeightScores& wrong) {
    try {
      write_sparse(dir.path() / "half", dir.path() / "no", 0.75, wrong);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  WeightScores wrong = scores;
  wrong.begin()->second = Tensor::zeros({1, 1}, DType::kF32);
  EXPECT_EQ(refused(wrong), ErrorCode::kShape);
  wrong.erase(wrong.begin());
  EXPECT_EQ(refused(wrong), ErrorCode::kNotFound);
}

std::vector<float> sparse_outputs(const Path& folder, Compact compact) {
  const NoGrad no_grad;
  ForwardContext context;
  Bert bert(load_config(ModelFiles::open(folder)), Pooler::kWith);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights{folder};
  load_parameters(
      weights, parameters, 0, 0, [](const std::string&) { return false; }, compact);
  for (const Parameter* parameter : parameters)
    EXPECT_EQ(parameter->compact != nullptr, compact == Compact::kKeep && weights.is_sparse(parameter->name));
  bert.freeze();
  const Var hidden = bert.forward(make_ragged_batch({{1, 2, 3}, {4, 10, 6, 7, 8}}, {}), context);
  return {hidden.value().values<float>().begin(), hidden.value().values<float>().end()};
}

TEST(Sparsify, IsStoredAndKeptWithoutItsZerosAndComputesTheSame) {
  const test::TemporaryFolder dir;
  const auto path = [&](const char* name) { return dir.path() / name; };
  const auto size = [&](const char* name) { return std::filesystem::file_size(path(name) / "model.safetensors"); };
  const auto noted = [&](const char* name) {
    const Json config = ModelFiles::open(path(name)).read_json();
    return config.contains("quantization_config") && config["quantization_config"].contains("sparse");
  };
  BertConfig config = test::small_config();
  config.hidden_size = 48;
  config.intermediate_size = 200;
  test::write_random(path("a"), config);
  for (const double share : {0.6, 0.9}) {
    write_sparse(path("a"), path("s"), share);
    write_dense(path("s"), path("d"));
    EXPECT_TRUE(noted("s"));
    EXPECT_FALSE(stores_sparse(Weights{path("d")}) || noted("d"));
    EXPECT_LT(size("s"), size("d"));
    const std::vector<float> kept = sparse_outputs(path("s"), Compact::kKeep);
    EXPECT_EQ(kept, sparse_outputs(path("s"), Compact::kExpand));
    EXPECT_EQ(kept, sparse_outputs(path("d"), Compact::kKeep));
    // What is made of it is stored so too.
    write_pruned(path("s"), path("p"), whole_structure(config), {});
    EXPECT_TRUE(read_file(path("p") / "model.safetensors") == read_file(path("s") / "model.safetensors"));
    write_quantized(path("s"), path("q"), {{"layer.0.ffn"}, {}});
    const Weights mixed{path("q")};
    EXPECT_TRUE(mixed.is_int8("bert.encoder.layer.0.output.dense.weight"));
    EXPECT_TRUE(mixed.is_sparse("bert.encoder.layer.1.output.dense.weight"));
    EXPECT_TRUE(noted("q"));
    for (const char* name : {"s", "d", "p", "q"}) std::filesystem::remove_all(path(name));
  }
  write_sparse(path("a"), path("s"), 0.3);
  EXPECT_FALSE(stores_sparse(Weights{path("s")}) || noted("s")) << "with few zeros the bits would not pay";
}

TEST(Sparsify, ParametersAreWrittenAsTheyCameWhileTheyHaveTheirZeros) {
  const test::TemporaryFolder dir;
  test::write_random(dir.path() / "a", test::small_config());
  write_sparse(dir.path() / "a", dir.path() / "s", 0.8);
  Bert bert(test::small_config(), Pooler::kWith);
  ParameterList parameters;
  bert.collect(parameters);
  Weights weights{dir.path() / "s"};
  const auto save = [&](const char* name) {
    const ModelFiles files = ModelFiles::create(dir.path() / name);
    files.write_json(ModelFiles::kConfig, config_json(test::small_config(), parameters));
    save_parameters(files, parameters);
    return stores_sparse(Weights{dir.path() / name});
  };
  for (const Compact compact : {Compact::kKeep, Compact::kExpand}) {
    load_parameters(
        weights, parameters, 0, 0, [](const std::string&) { return false; }, compact);
    EXPECT_TRUE(save("again"));
    for (const std::string& name : weights.names()) {
      const Shape shape = *weights.shape_of(name);
      const Tensor x = weights.get(name, shape), y = Weights(dir.path() / "again").get(name, shape);
      EXPECT_TRUE(std::ranges::equal(x.values<float>(), y.values<float>())) << name;
    }
  }
  for (Parameter* parameter : parameters) parameter->set(Tensor::full(parameter->shape, DType::kF32, 0.5));
  EXPECT_FALSE(save("full"));
}

TEST(Sparsify, TheScheduleBeginsFast) {
  EXPECT_DOUBLE_EQ(sparsity_at(0.9, 4, 4), 0.9);
  EXPECT_DOUBLE_EQ(sparsity_at(0.8, 1, 2), 0.7);
  EXPECT_DOUBLE_EQ(sparsity_at(0.9, 1, 1), 0.9);
}

}  // namespace
}  // namespace cloze
