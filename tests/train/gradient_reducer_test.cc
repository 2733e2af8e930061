// Gradients that several processes sum: what one process would have, whatever each of them found.
#include "cloze/train/gradient_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloze/backend/backend.h"
#include "tests/train/thread_job.h"

namespace cloze {
namespace {

using test::ThreadJob;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

/// Parameters of a process, with values that do not matter.
struct Model {
  std::vector<Parameter> parameters;
  ParameterList list;
  explicit Model(const std::vector<Shape>& shapes) : parameters(shapes.size()) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      parameters[i] = {fmt::format("p{}", i), shapes[i], Init::kZeros, Decay::kNo, Var()};
      parameters[i].initialize(1, 1);
      list.push_back(&parameters[i]);
    }
  }
  const Var& operator[](size_t i) const { return parameters[i].var; }
};

Tensor filled(const Shape& shape, double value) {
  return Tensor::full(shape, DType::kF32, value);
}
RowGradient rows_of(const std::vector<int32_t>& rows, const std::vector<float>& values) {
  const int64_t count = static_cast<int64_t>(rows.size());
  return {Tensor::of<int32_t>({count}, rows),
          Tensor::of<float>({count, static_cast<int64_t>(values.size()) / count}, values)};
}

TEST(GradientReducer, OneProcessKeepsWhatItHas) {
  Model model({Shape({3})});
  GradientReducer reducer(alone(), model.list);
  EXPECT_TRUE(reducer.runs(0) && reducer.runs(1) && reducer.runs(7));
  EXPECT_EQ(reducer.listener(0, 1), nullptr);
  model[0].add_grad(filled({3}, 2));
  double sums[] = {5};
  reducer.reduce(sums);
  EXPECT_EQ(sums[0], 5);
  EXPECT_THAT(model[0].grad().values<float>(), ElementsAre(2, 2, 2));
}

TEST(GradientReducer, PassesAreDealtOut) {
  ThreadJob::run(3, [](Communicator& communicator) {
    Model model({Shape({1})});
    GradientReducer reducer(communicator, model.list);
    for (int64_t pass = 0; pass < 9; ++pass) EXPECT_EQ(reducer.runs(pass), pass % 3 == communicator.rank());
  });
}

TEST(GradientReducer, SumsOverStepsAndBucketsAlsoWhereAProcessHasNone) {
  ThreadJob::run(3, [](Communicator& communicator) {
    Model model({Shape({40}), Shape({5, 4}), Shape({2}), Shape({1})});
    GradientReducer reducer(communicator, model.list, 10);  // several buckets
    const double rank = communicator.rank();
    for (int step = 0; step < 3; ++step) {
      if (communicator.rank() != 1 || step == 0)
        for (size_t i = 0; i < 3; ++i) model[i].add_grad(filled(model[i].shape(), rank + 1 + static_cast<double>(i)));
      double sums[] = {rank, 1};
      reducer.reduce(sums);
      EXPECT_THAT(sums, ElementsAre(3, 3));
      for (size_t i = 0; i < 3; ++i) {
        const double expected = step == 0 ? 6 + 3 * static_cast<double>(i) : 4 + 2 * static_cast<double>(i);
        EXPECT_THAT(model[i].grad().values<float>(), ::testing::Each(expected)) << i;
        model[i].clear_grad();
      }
      EXPECT_FALSE(model[3].has_grad()) << "no process had one: the optimizer must leave it alone";
    }
    double sums[] = {0};
    reducer.reduce(sums);
    for (size_t i = 0; i < 4; ++i) EXPECT_FALSE(model[i].has_grad()) << "none in this step";
  });
}

TEST(GradientReducer, RowsStayRowsWhereTheyAreFew) {
  ThreadJob::run(3, [](Communicator& communicator) {
    Model model({Shape({20, 2}), Shape({20, 2})});
    GradientReducer reducer(communicator, model.list);
    for (int step = 0; step < 2; ++step) {
      if (communicator.rank() == 0) model[0].add_row_grad(rows_of({1, 7}, {1, 2, 3, 4}));
      if (communicator.rank() == 2) model[0].add_row_grad(rows_of({0, 7}, {10, 20, 30, 40}));
      model[1].add_row_grad(rows_of({1, 2, 3, 4}, {1, 1, 2, 2, 3, 3, 4, 4}));  // 12 of 20 rows: sent as a table
      reducer.reduce({});
      ASSERT_TRUE(model[0].row_grad().defined());
      EXPECT_THAT(model[0].row_grad().rows.values<int32_t>(), ElementsAre(0, 1, 7));
      EXPECT_THAT(model[0].row_grad().values.values<float>(), ElementsAre(10, 20, 1, 2, 33, 44));
      EXPECT_FALSE(model[1].row_grad().defined());
      EXPECT_EQ(model[1].grad().data<float>()[4], 6);
      for (const size_t i : {0, 1}) model[i].clear_grad();
    }
  });
}

TEST(GradientReducer, RowsBesideTablesBecomeTables) {
  ThreadJob::run(2, [](Communicator& communicator) {
    Model model({Shape({8, 1})});
    GradientReducer reducer(communicator, model.list);
    // The kinds change over the steps, and differ between processes.
    for (const int dense_rank : {-1, 0, 1, -1}) {
      if (communicator.rank() == dense_rank)
        model[0].add_grad(filled({8, 1}, 1));
      else
        model[0].add_row_grad(rows_of({5}, {2}));
      reducer.reduce({});
      std::vector<float> expected(8, dense_rank < 0 ? 0.0f : 1.0f);
      expected[5] += dense_rank < 0 ? 4 : 2;
      EXPECT_EQ(model[0].row_grad().defined(), dense_rank < 0);
      EXPECT_THAT(model[0].grad().values<float>(), ElementsAreArray(expected));
      model[0].clear_grad();
    }
  });
}

TEST(GradientReducer, RowsInABucketBecomeTables) {
  ThreadJob::run(2, [](Communicator& communicator) {
    Model model({Shape({8, 1})});
    GradientReducer reducer(communicator, model.list);
    for (int step = 0; step < 2; ++step) {
      if (step == 0)
        model[0].add_grad(filled({8, 1}, 1));
      else
        model[0].add_row_grad(rows_of({5}, {2}));
      reducer.reduce({});
      EXPECT_EQ(model[0].grad().data<float>()[5], step == 0 ? 2 : 4);
      model[0].clear_grad();
    }
  });
}

/// y = sum of the parameters' first elements, one operation each, so that their gradients come one after another.
Var chain(const Model& model, std::vector<int>* order = nullptr) {
  Var sum(Tensor::zeros({1}, DType::kF32));
  for (size_t i = 0; i < model.parameters.size(); ++i) {
    const Var leaf = model[i], before = sum;
    sum = Var::from_op(Tensor::zeros({1}, DType::kF32), {before, leaf}, [=](const Tensor& dy) {
      if (order != nullptr) order->push_back(static_cast<int>(i));
      before.add_grad(dy);
      leaf.add_grad(filled(leaf.shape(), *dy.data<float>()));
    });
  }
  return sum;
}

/// Notes when sums are started.
class Recorder : public Communicator {
 public:
  Recorder(Communicator& inner, std::vector<int>& order) : inner_(inner), order_(order) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  Ticket sum_start(std::span<float> values) override {
    order_.push_back(-1);
    return inner_.sum_start(values);
  }
  void progress() override {}
  void wait(Ticket ticket) override { inner_.wait(ticket); }
  void sum(std::span<double> values) override { inner_.sum(values); }
  void broadcast(std::span<std::byte> bytes, int root) override { inner_.broadcast(bytes, root); }
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes) override { return inner_.gather(bytes); }
  void abort(int code) override { inner_.abort(code); }

 private:
  Communicator& inner_;
  std::vector<int>& order_;
};

TEST(GradientReducer, BucketsLeaveWhileTheBackwardPassRuns) {
  ThreadJob::run(2, [](Communicator& communicator) {
    Model model({Shape({4}), Shape({4}), Shape({4})});
    std::vector<int> order;
    Recorder recorder(communicator, order);
    GradientReducer reducer(recorder, model.list, 1);
    for (int step = 0; step < 2; ++step) {
      order.clear();
      EXPECT_EQ(reducer.listener(0, 4), nullptr) << "not the last pass of any process";
      backward(chain(model, &order), 0.5, reducer.listener(2 + communicator.rank(), 4));
      reducer.reduce({});
      // The first step learns; then each gradient leaves as it comes.
      if (step == 0)
        EXPECT_THAT(order, ElementsAre(2, 1, 0, -1, -1, -1));
      else
        EXPECT_THAT(order, ElementsAre(2, -1, 1, -1, 0, -1));
      for (const size_t i : {0, 1, 2}) {
        EXPECT_THAT(model[i].grad().values<float>(), ElementsAre(1, 1, 1, 1));
        model[i].clear_grad();
      }
    }
  });
}

TEST(GradientReducer, AGradientAfterItsBucketLeftIsAnError) {
  const auto work = [](Communicator& communicator) {
    Model model({Shape({4})});
    GradientReducer reducer(communicator, model.list, 1);
    backward(chain(model));
    reducer.reduce({});
    model[0].clear_grad();
    backward(chain(model), 1.0, reducer.listener(communicator.rank(), 2));
    model[0].add_grad(filled({4}, 1));
    reducer.reduce({});
  };
  try {
    ThreadJob::run(2, work);
    FAIL() << "it was dropped";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("p0: a gradient came after"));
  }
}

}  // namespace
}  // namespace cloze
