// Classifiers on vectors: literal cases, LIBLINEAR against Newton's method in f64, files, refusals.
#include "cloze/transfer/classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "cloze/base/json.h"
#include "cloze/base/rng.h"
#include "cloze/transfer/classifier_knn.h"
#include "cloze/transfer/classifier_linear.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using testing::HasSubstr;

const std::vector<std::string> kKinds = {"linear", "svm", "knn", "prototype", "mlp"};

/// Rows of `classes` clouds in d dimensions, in turn.
struct Clouds {
  Tensor x;
  std::vector<int> labels;
  int classes;
  LabelledVectors data() const { return {x, labels, classes, {}, {}}; }
};

Clouds clouds(int64_t n, int64_t d, int classes, double noise, uint64_t seed = 1) {
  Clouds result{Tensor({n, d}, DType::kF32), {}, classes};
  Rng centres(99, RandomStream::kTest), rng(seed, RandomStream::kTest, 1);
  std::vector<double> centre(static_cast<size_t>(classes) * static_cast<size_t>(d));
  for (double& value : centre) value = centres.normal();
  for (int64_t i = 0; i < n; ++i) {
    const int label = static_cast<int>(i % classes);
    result.labels.push_back(label);
    for (int64_t j = 0; j < d; ++j)
      result.x.data<float>()[i * d + j] =
          static_cast<float>(centre[static_cast<size_t>(label * d + j)] + noise * rng.normal());
  }
  return result;
}

ClassifierOptions kind(const std::string& name) {
  ClassifierOptions options;
  options.classifier = name;
  options.mlp_hidden = 16;
  options.mlp_epochs = 30;
  options.mlp_learning_rate = 1e-2;
  return options;
}

std::vector<int> best_of(const Tensor& scores) {
  std::vector<int> best;
  const int64_t C = scores.shape()[1];
  for (int64_t i = 0; i < scores.shape()[0]; ++i) {
    const float* row = scores.data<float>() + i * C;
    best.push_back(static_cast<int>(std::max_element(row, row + C) - row));
  }
  return best;
}

double accuracy_of(const Classifier& classifier, const Clouds& rows) {
  const std::vector<int> best = best_of(classifier.scores(rows.x));
  double right = 0;
  for (size_t i = 0; i < best.size(); ++i) right += best[i] == rows.labels[i];
  return right / static_cast<double>(best.size());
}

std::vector<float> numbers(const Tensor& x) {
  const auto values = x.values<float>();
  return {values.begin(), values.end()};
}

/// What the loss counts, by sign.
struct Weighing {
  double positive = 1, negative = 1;
};

/// The optimum of 1/2 |w|^2 + C sum v_y loss(y w z), z = (x, 1), by Newton's method, with v_y of `weighing` and
/// log(1 + exp(-s)) or, squared, max(0, 1 - s).
Eigen::VectorXd newton(const Clouds& rows, int positive, double c, const Weighing& weighing = {},
                       const std::string& classifier = "linear") {
  const Eigen::Index n = rows.x.shape()[0], d = rows.x.shape()[1];
  Eigen::MatrixXd z = Eigen::MatrixXd::Ones(n, d + 1);
  Eigen::VectorXd y(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    y(i) = rows.labels[static_cast<size_t>(i)] == positive ? 1 : -1;
    for (Eigen::Index j = 0; j < d; ++j) z(i, j) = static_cast<double>(rows.x.data<float>()[i * d + j]);
  }
  Eigen::VectorXd w = Eigen::VectorXd::Zero(d + 1);
  for (int step = 0; step < 50; ++step) {
    Eigen::VectorXd gradient = w;
    Eigen::MatrixXd hessian = Eigen::MatrixXd::Identity(d + 1, d + 1);
    for (Eigen::Index i = 0; i < n; ++i) {
      const double s = y(i) * z.row(i).dot(w), p = 1 / (1 + std::exp(-s)), gap = std::max(0.0, 1 - s);
      const double own = c * (y(i) > 0 ? weighing.positive : weighing.negative);
      const bool logistic = classifier == "linear";
      gradient -= own * (logistic ? 1 - p : 2 * gap) * y(i) * z.row(i).transpose();
      hessian += own * (logistic ? p * (1 - p) : gap > 0 ? 2 : 0) * z.row(i).transpose() * z.row(i);
    }
    w -= hessian.ldlt().solve(gradient);
  }
  return w;
}

TEST(ClassifierTest, AllLearnClouds) {
  const Clouds train = clouds(300, 8, 4, 0.5), test = clouds(200, 8, 4, 0.5, 2);
  for (const std::string& name : kKinds) {
    const auto classifier = fit_classifier(train.data(), kind(name), 7);
    EXPECT_GE(accuracy_of(*classifier, test), 0.97) << name;
    EXPECT_EQ(classifier->kind(), name);
    EXPECT_FALSE(classifier->summary.empty()) << name;
  }
}

TEST(ClassifierTest, ProbabilitiesAddUpAndRiseWithTheScores) {
  const Clouds train = clouds(120, 5, 3, 1.0), test = clouds(60, 5, 3, 1.0, 2);
  for (const std::string& name : kKinds) {
    const auto classifier = fit_classifier(train.data(), kind(name), 7);
    const Tensor p = classifier->probabilities(test.x);
    for (int64_t i = 0; i < 60; ++i) {
      double sum = 0;
      for (int c = 0; c < 3; ++c) {
        EXPECT_GT(p.data<float>()[i * 3 + c], 0) << name;
        sum += static_cast<double>(p.data<float>()[i * 3 + c]);
      }
      EXPECT_NEAR(sum, 1, 1e-5) << name;
    }
    EXPECT_EQ(best_of(p), best_of(classifier->scores(test.x))) << name;
  }
}

TEST(ClassifierTest, ARowsBitsDoNotDependOnTheOthersAndFitsRepeat) {
  const Clouds train = clouds(90, 6, 3, 1.0), test = clouds(40, 6, 3, 1.0, 2);
  for (const std::string& name : kKinds) {
    const auto one = fit_classifier(train.data(), kind(name), 7), two = fit_classifier(train.data(), kind(name), 7);
    const std::vector<float> all = numbers(one->probabilities(test.x));
    EXPECT_EQ(all, numbers(two->probabilities(test.x))) << name;
    const std::vector<float> alone = numbers(one->probabilities(test.x.rows(17, 18)));
    EXPECT_EQ(alone, std::vector<float>(all.begin() + 51, all.begin() + 54)) << name;
  }
}

TEST(ClassifierTest, FilesKeepTheBits) {
  const Clouds train = clouds(90, 6, 3, 1.0), two = clouds(40, 6, 2, 1.0);
  for (const std::string& name : kKinds)
    for (const Clouds* rows : {&train, &two}) {
      const test::TemporaryFolder folder;
      const ModelFiles files = ModelFiles::create(folder.path());
      const auto fitted = fit_classifier(rows->data(), kind(name), 7);
      save_classifier(*fitted, files);
      const auto loaded = load_classifier(files);
      EXPECT_EQ(numbers(loaded->probabilities(train.x)), numbers(fitted->probabilities(train.x))) << name;
      EXPECT_EQ(loaded->kind(), name);
      EXPECT_EQ(loaded->classes(), rows->classes);
    }
}

TEST(LinearClassifierTest, FindsNewtonsOptimum) {
  // The objective is that of scikit-learn's LogisticRegression(solver='liblinear', C=c, tol=1e-8), one against the
  // rest.
  for (const int classes : {2, 3})
    for (const double c : {0.05, 2.0}) {
      const Clouds rows = clouds(150, 6, classes, 1.5);
      ClassifierOptions options = kind("linear");
      options.c = c;
      options.no_standardize = true;
      const auto classifier = fit_classifier(rows.data(), options, 1);
      const LinearRule& rule = dynamic_cast<const LinearClassifier&>(*classifier).rule();
      for (int m = 0; m < (classes == 2 ? 1 : classes); ++m) {
        const Eigen::VectorXd w = newton(rows, classes == 2 ? 1 : m, c);
        for (int j = 0; j < 6; ++j) EXPECT_NEAR(rule.weight.data<float>()[m * 6 + j], w(j), 1e-4) << classes << c;
        EXPECT_NEAR(rule.bias.data<float>()[m], w(6), 1e-4);
      }
    }
}

/// Weights of a class for each of its rows.
std::vector<float> spread(const std::vector<int>& labels, const std::vector<float>& of_class) {
  std::vector<float> weights;
  for (const int label : labels) weights.push_back(of_class[static_cast<size_t>(label)]);
  return weights;
}

TEST(LinearClassifierTest, FindsNewtonsOptimumOfTheWeightedLoss) {
  // As scikit-learn's LogisticRegression(solver='liblinear') and LinearSVC with class_weight.
  const std::vector<float> of_class = {3.0F, 0.5F, 1.25F};
  for (const std::string name : {"linear", "svm"})
    for (const int classes : {2, 3}) {
      const Clouds rows = clouds(150, 6, classes, 1.5);
      ClassifierOptions options = kind(name);
      options.c = 0.4;
      options.no_standardize = true;
      const std::vector<float> weights = spread(rows.labels, of_class);
      const auto classifier = fit_classifier({rows.x, rows.labels, classes, weights, {}}, options, 1);
      const LinearRule& rule = dynamic_cast<const LinearClassifier&>(*classifier).rule();
      for (int m = 0; m < (classes == 2 ? 1 : classes); ++m) {
        const Weighing weighing = classes == 2
                                      ? Weighing{.positive = 0.5, .negative = 3}
                                      : Weighing{.positive = static_cast<double>(of_class[static_cast<size_t>(m)])};
        const Eigen::VectorXd w = newton(rows, classes == 2 ? 1 : m, 0.4, weighing, name);
        for (int j = 0; j < 6; ++j)
          EXPECT_NEAR(rule.weight.data<float>()[m * 6 + j], w(j), 1e-4) << name << classes << m;
        EXPECT_NEAR(rule.bias.data<float>()[m], w(6), 1e-4) << name << classes << m;
      }
    }
}

TEST(LinearClassifierTest, WeightsOfOneChangeNothing) {
  for (const std::string name : {"linear", "svm"}) {
    const Clouds rows = clouds(90, 6, 3, 1.5);
    const std::vector<float> ones(90, 1.0F);
    const auto plain = fit_classifier(rows.data(), kind(name), 1),
               weighted = fit_classifier({rows.x, rows.labels, 3, ones, {}}, kind(name), 1);
    EXPECT_EQ(numbers(plain->probabilities(rows.x)), numbers(weighted->probabilities(rows.x))) << name;
  }
}

/// The first class has a twelfth of the rows of each other one, and the clouds overlap.
TEST(LinearClassifierTest, BalancedWeightsFindMoreOfTheRareClass) {
  for (const std::string name : {"linear", "svm"})
    for (const int classes : {2, 3}) {
      const Clouds all = clouds(600, 4, classes, 2.0), test = clouds(300, 4, classes, 2.0, 2);
      Clouds rows{Tensor({600, 4}, DType::kF32), {}, classes};
      std::vector<double> count(static_cast<size_t>(classes));
      int64_t n = 0, rare = 0;
      for (int64_t i = 0; i < 600; ++i) {
        const int label = all.labels[static_cast<size_t>(i)];
        if (label == 0 && rare++ % 12 != 0) continue;
        std::copy_n(all.x.data<float>() + 4 * i, 4, rows.x.data<float>() + 4 * n++);
        rows.labels.push_back(label);
        count[static_cast<size_t>(label)] += 1;
      }
      rows.x = rows.x.rows(0, n);
      std::vector<float> balanced;
      for (const double own : count) balanced.push_back(static_cast<float>(static_cast<double>(n) / (classes * own)));
      const auto recall = [&](const Classifier& classifier, int label) {
        const std::vector<int> found = best_of(classifier.scores(test.x));
        double right = 0, of = 0;
        for (size_t i = 0; i < found.size(); ++i) {
          if (test.labels[i] != label) continue;
          of += 1;
          right += found[i] == label ? 1 : 0;
        }
        return right / of;
      };
      const auto plain = fit_classifier(rows.data(), kind(name), 1),
                 weighted =
                     fit_classifier({rows.x, rows.labels, classes, spread(rows.labels, balanced), {}}, kind(name), 1);
      EXPECT_GT(recall(*weighted, 0), recall(*plain, 0) + 0.15) << name << " " << classes;
      // The folds are fitted and judged by the weights too: what they say is the mean of the classes' recalls.
      const std::string said = ": weighted accuracy ", &note = weighted->summary.at(0);
      const size_t at = note.find(said);
      ASSERT_NE(at, std::string::npos) << note;
      double mean = 0;
      for (int c = 0; c < classes; ++c) mean += recall(*weighted, c) / classes;
      EXPECT_NEAR(std::stod(note.substr(at + said.size())), mean, 0.07) << name << " " << classes;
    }
}

TEST(LinearClassifierTest, StandardisationIsFoldedIn) {
  // Two features of which one is the other times 1000: standardised they weigh the same.
  const Clouds rows = clouds(100, 1, 2, 1.0);
  Clouds wide{Tensor({100, 3}, DType::kF32), rows.labels, 2};
  for (int64_t i = 0; i < 100; ++i) {
    wide.x.data<float>()[3 * i] = rows.x.data<float>()[i];
    wide.x.data<float>()[3 * i + 1] = 1000 * rows.x.data<float>()[i] + 5;
    wide.x.data<float>()[3 * i + 2] = 7;
  }
  ClassifierOptions options = kind("linear");
  options.c = 1;
  const auto classifier = fit_classifier(wide.data(), options, 1);
  const LinearRule& rule = dynamic_cast<const LinearClassifier&>(*classifier).rule();
  EXPECT_NEAR(rule.weight.data<float>()[0] / 1000, rule.weight.data<float>()[1], 1e-5);
  EXPECT_EQ(rule.weight.data<float>()[2], 0);
  EXPECT_THAT(classifier->summary, testing::Contains(HasSubstr("1 of 3 features are the same in all rows")));
}

TEST(LinearClassifierTest, ProbabilitiesAreTheLogisticFunctionOfTheMargin) {
  const Clouds rows = clouds(60, 2, 2, 1.0);
  ClassifierOptions options = kind("linear");
  options.c = 1;
  const auto classifier = fit_classifier(rows.data(), options, 1);
  const Tensor p = classifier->probabilities(rows.x), s = classifier->scores(rows.x);
  for (int64_t i = 0; i < 60; ++i)
    EXPECT_NEAR(p.data<float>()[2 * i + 1], 1 / (1 + std::exp(-static_cast<double>(s.data<float>()[2 * i + 1]))), 1e-6);
}

TEST(PrototypeTest, TakesTheNearestMeanOfOneRowAClass) {
  const Tensor x = Tensor::of(Shape({2, 2}), std::vector<float>{1, 0, 0, 4});
  const std::vector<int> labels = {0, 1};
  const Tensor asked = Tensor::of(Shape({3, 2}), std::vector<float>{2, 1.5, 0.1F, 0.2F, 0, 2.6F});
  ClassifierOptions options = kind("prototype");
  const LabelledVectors data{x, labels, 2, {}, {}};
  const auto cosine = fit_classifier(data, options, 1);
  EXPECT_THAT(best_of(cosine->scores(asked)), testing::ElementsAre(0, 1, 1));
  EXPECT_NEAR(cosine->scores(asked).data<float>()[0], 0.8, 1e-6);
  options.distance = "euclidean";
  // |x - (1,0)| against |x - (0,4)|
  EXPECT_THAT(best_of(fit_classifier(data, options, 1)->scores(asked)), testing::ElementsAre(0, 0, 1));
}

TEST(PrototypeTest, MahalanobisSeesTheShapeOfTheClouds) {
  // Both classes stretch along the first axis, by which their means differ more than by the second.
  std::vector<float> values;
  std::vector<int> labels;
  for (int i = -10; i <= 10; ++i)
    for (const int label : {0, 1}) {
      values.insert(values.end(), {static_cast<float>(i) + (label == 0 ? 0.0F : 3.0F),
                                   (label == 0 ? 0.0F : 1.0F) + 0.05F * static_cast<float>((i + 10) % 3 - 1)});
      labels.push_back(label);
    }
  const LabelledVectors data{Tensor::of(Shape({42, 2}), values), labels, 2, {}, {}};
  ClassifierOptions options = kind("prototype");
  const Tensor asked = Tensor::of(Shape({1, 2}), std::vector<float>{-1, 0.9F});
  options.distance = "euclidean";
  EXPECT_THAT(best_of(fit_classifier(data, options, 1)->scores(asked)), testing::ElementsAre(0));
  options.distance = "mahalanobis";
  options.shrinkage = 0;
  EXPECT_THAT(best_of(fit_classifier(data, options, 1)->scores(asked)), testing::ElementsAre(1));
  options.shrinkage = 1;  // a sphere: as euclidean
  EXPECT_THAT(best_of(fit_classifier(data, options, 1)->scores(asked)), testing::ElementsAre(0));
  options.shrinkage = -1;
  EXPECT_THAT(fit_classifier(data, options, 1)->summary[0], HasSubstr("mahalanobis, shrinkage 0.0"));
}

TEST(PrototypeTest, RowsThatCountMorePullTheMean) {
  const Tensor x = Tensor::of(Shape({4, 1}), std::vector<float>{0, 4, 10, 12});
  const std::vector<int> labels = {0, 0, 1, 1};
  const std::vector<float> weights = {3, 1, 1, 1};
  ClassifierOptions options = kind("prototype");
  options.distance = "euclidean";
  const auto classifier = fit_classifier({x, labels, 2, weights, {}}, options, 1);
  const LinearRule& rule = dynamic_cast<const LinearClassifier&>(*classifier).rule();
  EXPECT_FLOAT_EQ(rule.weight.data<float>()[0], 1);
  EXPECT_FLOAT_EQ(rule.weight.data<float>()[1], 11);
}

TEST(KnnTest, VotesByHand) {
  const Tensor x = Tensor::of(Shape({4, 1}), std::vector<float>{0, 1, 3, 10});
  const std::vector<int> labels = {0, 1, 1, 0};
  const LabelledVectors data{x, labels, 2, {}, {}};
  ClassifierOptions options = kind("knn");
  options.distance = "euclidean";
  options.k = 3;
  const Tensor asked = Tensor::of(Shape({1, 1}), std::vector<float>{0.2F});
  // Distances 0.2 (class 0), 0.8 and 2.8 (class 1): votes 5 against 1.25 + 0.357.
  const auto weighted = fit_classifier(data, options, 1);
  EXPECT_NEAR(weighted->scores(asked).data<float>()[0], 5, 1e-4);
  EXPECT_NEAR(weighted->scores(asked).data<float>()[1], 1 / 0.8 + 1 / 2.8, 1e-4);
  EXPECT_NEAR(weighted->probabilities(asked).data<float>()[0], (3 * 5 / (5 + 1 / 0.8 + 1 / 2.8) + 0.5) / 4, 1e-5);
  options.vote = "majority";
  EXPECT_THAT(best_of(fit_classifier(data, options, 1)->scores(asked)), testing::ElementsAre(1));
  options.k = 2;  // one vote each: the nearest decides
  EXPECT_THAT(best_of(fit_classifier(data, options, 1)->scores(asked)), testing::ElementsAre(0));
}

TEST(KnnTest, KIsChosenByLeavingRowsOut) {
  const Clouds rows = clouds(80, 2, 2, 1.2);
  const auto classifier = fit_classifier(rows.data(), kind("knn"), 1);
  EXPECT_THAT(classifier->summary[0], HasSubstr("with each of 80 rows left out"));
  EXPECT_GT(json_int(classifier->settings(), "k", ""), 1) << "one noisy neighbour is a bad guide";
}

TEST(MlpTest, LearnsWhatNoLineParts) {
  Clouds rows{Tensor({400, 2}, DType::kF32), {}, 2};
  Rng rng(3, RandomStream::kTest);
  for (int64_t i = 0; i < 400; ++i) {
    const double a = rng.normal(), b = rng.normal();
    rows.x.data<float>()[2 * i] = static_cast<float>(a);
    rows.x.data<float>()[2 * i + 1] = static_cast<float>(100 * b + 7);
    rows.labels.push_back(a * b > 0 ? 1 : 0);
  }
  EXPECT_GE(accuracy_of(*fit_classifier(rows.data(), kind("mlp"), 1), rows), 0.93);
  EXPECT_LE(accuracy_of(*fit_classifier(rows.data(), kind("linear"), 1), rows), 0.7);
}

TEST(ClassifierTest, FewRowsAreEnoughOrSaidNotToBe) {
  const Clouds four = clouds(4, 3, 2, 0.1), two = clouds(2, 3, 2, 0.1);
  for (const std::string& name : kKinds) {
    EXPECT_GE(accuracy_of(*fit_classifier(four.data(), kind(name), 1), four), name == "mlp" ? 0.5 : 0.75) << name;
    (void)fit_classifier(two.data(), kind(name), 1);
  }
  EXPECT_THAT(fit_classifier(four.data(), kind("linear"), 1)->summary[0], HasSubstr("2-fold"));
  EXPECT_THAT(fit_classifier(two.data(), kind("svm"), 1)->summary[0], HasSubstr("one row only"));
  ClassifierOptions options = kind("linear");
  options.folds = 3;
  EXPECT_THAT(error_of([&] { fit_classifier(four.data(), options, 1); }),
              HasSubstr("has 2 row(s), fewer than the 3 folds"));
  options = kind("knn");
  options.k = 5;
  EXPECT_THAT(error_of([&] { fit_classifier(four.data(), options, 1); }), HasSubstr("there are 4 rows only"));
}

TEST(ClassifierTest, BadRowsAreRefused) {
  Clouds rows = clouds(6, 2, 3, 0.1);
  const auto error = [&](const LabelledVectors& data) {
    return error_of([&] { fit_classifier(data, kind("linear"), 1); });
  };
  EXPECT_THAT(error({rows.x, rows.labels, 4, {}, {"a", "b", "c", "sports"}}),
              HasSubstr("class \"sports\" (of 4 classes) has no rows"));
  EXPECT_THAT(error({rows.x, rows.labels, 2, {}, {}}), HasSubstr("has label 2, expected 0 to 1"));
  EXPECT_THAT(error({rows.x, rows.labels, 1, {}, {}}), HasSubstr("at least two"));
  EXPECT_THAT(error({rows.x.rows(0, 5), rows.labels, 3, {}, {}}), HasSubstr("one label a row"));
  std::vector<float> weights(6, 1.0F);
  EXPECT_THAT(error_of([&] {
                fit_classifier({rows.x, rows.labels, 3, weights, {}}, kind("knn"), 1);
              }),
              HasSubstr("go with --classifier linear, svm, prototype and mlp"));
  weights[4] = 2;
  EXPECT_THAT(error({rows.x, rows.labels, 3, weights, {"a", "b", "c"}}),
              HasSubstr("rows of class \"b\" weigh 1 and 2: linear and svm take weights of classes"));
  rows.x.data<float>()[3] = NAN;
  EXPECT_THAT(error(rows.data()), HasSubstr("row 1 has nan in column 1"));
  const std::vector<int> same = {0, 0, 1, 1};
  ClassifierOptions options = kind("prototype");
  options.distance = "mahalanobis";
  EXPECT_THAT(
      error_of([&] {
        fit_classifier({Tensor::of(Shape({4, 1}), std::vector<float>{1, 1, 2, 2}), same, 2, {}, {}}, options, 1);
      }),
      HasSubstr("rows that vary within a class"));
}

TEST(ClassifierTest, ScoresThatOverflowAreAnError) {
  const Tensor far = Tensor::of(Shape({2, 2}), std::vector<float>{3e38F, 3e38F, -3e38F, 3e38F});
  const LinearClassifier linear("linear", 2,
                                {far, Tensor::zeros({2}, DType::kF32), ScoreLink::kSoftmax, RowLength::kAsIs, 1, {}});
  const KnnClassifier knn(far, Tensor::of(Shape({2}), std::vector<int32_t>{0, 1}), 2, {1, true, true});
  const Tensor x = Tensor::of(Shape({1, 2}), std::vector<float>{4, 4}), small = Tensor::zeros({1, 2}, DType::kF32);
  EXPECT_THAT(error_of([&] { linear.scores(x); }), HasSubstr("the scores overflow"));
  EXPECT_THAT(error_of([&] { linear.probabilities(x); }), HasSubstr("the scores overflow"));
  EXPECT_THAT(error_of([&] { knn.probabilities(x); }), HasSubstr("the distances overflow"));
  EXPECT_EQ(numbers(linear.probabilities(small)), (std::vector<float>{0.5F, 0.5F}));
}

TEST(ClassifierTest, UnknownWordsAreRefused) {
  const auto error = [](const auto& change) {
    ClassifierOptions options;
    change(options);
    return error_of([&] { options.check(); });
  };
  EXPECT_THAT(error([](auto& o) { o.classifier = "liner"; }), HasSubstr("did you mean linear?"));
  EXPECT_THAT(error([](auto& o) { o.distance = "cosin"; }), HasSubstr("did you mean cosine?"));
  EXPECT_THAT(error([](auto& o) { o.distance = "mahalanobis"; }), HasSubstr("for --classifier prototype"));
  EXPECT_THAT(error([](auto& o) { o.c = -1; }), HasSubstr("--c must be above 0"));
  EXPECT_THAT(error([](auto& o) { o.folds = 1; }), HasSubstr("--folds must be at least 2"));
  EXPECT_THAT(error([](auto& o) { o.shrinkage = 1.5; }), HasSubstr("--shrinkage must be 0 to 1"));
  EXPECT_THAT(error([](auto& o) { o.mlp_hidden = 0; }), HasSubstr("--mlp-hidden"));
}

TEST(ClassifierTest, BrokenFilesAreRefused) {
  const Clouds rows = clouds(40, 3, 2, 0.5);
  const test::TemporaryFolder folder;
  const ModelFiles files = ModelFiles::create(folder.path());
  const auto expect_refused = [&](const std::string& name, const std::function<void(Json&)>& edit, const char* words) {
    save_classifier(*fit_classifier(rows.data(), kind(name), 1), files);
    Json settings = files.read_json("classifier.json");
    edit(settings);
    // With the copy that the tensors' file keeps changed too, so that the settings themselves are looked at.
    const SafetensorsFile old(files.path("classifier.safetensors"));
    std::vector<NamedTensor> tensors;
    for (const StoredTensor& stored : old.tensors()) tensors.push_back({stored.name, old.tensor(stored).clone()});
    write_safetensors(files.path("classifier.safetensors"), tensors, {{"classifier", settings.dump()}});
    files.write_json("classifier.json", settings);
    EXPECT_THAT(error_of([&] { load_classifier(files); }), HasSubstr(words)) << name;
  };
  expect_refused(
      "linear", [](Json& s) { s["format"] = 2; }, "this version reads 1");
  expect_refused(
      "linear", [](Json& s) { s["classifier"] = "forest"; }, "this version knows");
  expect_refused(
      "linear", [](Json& s) { s["dimension"] = 4; }, "expected F32 of shape");
  expect_refused(
      "linear", [](Json& s) { s["classes"] = 1; }, "expected 2 to");
  expect_refused(
      "linear", [](Json& s) { s["scale"] = -1; }, "above 0");
  expect_refused(
      "svm", [](Json& s) { s["link"] = "probit"; }, "expected one of");
  expect_refused(
      "knn", [](Json& s) { s["k"] = 41; }, "expected 1 to 40");
  expect_refused(
      "knn", [](Json& s) { s["classes"] = 2, s["distance"] = 3; }, "distance");
  expect_refused(
      "mlp", [](Json& s) { s["hidden"] = 1 << 20; }, "expected 1 to");
  expect_refused(
      "mlp", [](Json& s) { s.erase("hidden"); }, "hidden");
  save_classifier(*fit_classifier(rows.data(), kind("linear"), 1), files);
  Json settings = files.read_json("classifier.json");
  settings["scale"] = 2;
  files.write_json("classifier.json", settings);
  EXPECT_THAT(error_of([&] { load_classifier(files); }), HasSubstr("two different saves"));
}

}  // namespace
}  // namespace cloze
