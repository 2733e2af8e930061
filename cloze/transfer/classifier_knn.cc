#include "cloze/transfer/classifier_knn.h"

#include <algorithm>
#include <cmath>

#include "cloze/base/thread_team.h"
#include "cloze/ops/ops.h"
#include "cloze/transfer/classifier_file.h"
#include "cloze/transfer/classifier_rows.h"

namespace cloze {
namespace {

constexpr int64_t kCandidates[] = {1, 3, 5, 9, 15, 25};
constexpr size_t kMostAsked = 4000;
constexpr int64_t kQueriesAtOnce = 64;  // bounds the matrix of products

Tensor copy_rows(const Tensor& x, const std::vector<size_t>& picked) {
  const int64_t d = x.shape()[1];
  const Tensor out({static_cast<int64_t>(picked.size()), d}, DType::kF32);
  for (size_t i = 0; i < picked.size(); ++i)
    std::ranges::copy(row_of(x, static_cast<int64_t>(picked[i])), out.data<float>() + static_cast<int64_t>(i) * d);
  return out;
}

}  // namespace

KnnClassifier::KnnClassifier(Tensor rows, Tensor labels, int classes, const Settings& settings)
    : Classifier("knn", rows.shape()[1], classes),
      rows_(std::move(rows)),
      labels_(std::move(labels)),
      squares_({rows_.shape()[0]}, DType::kF64),
      settings_(settings) {
  for (int64_t i = 0; i < rows_.shape()[0]; ++i) squares_.data<double>()[i] = squared_norm(row_of(rows_, i));
}

std::vector<KnnClassifier::Neighbours> KnnClassifier::nearest(const Tensor& x, int64_t count,
                                                              std::span<const int64_t> skip) const {
  const NoGrad no_grad;
  const int64_t N = rows_.shape()[0];
  std::vector<Neighbours> result(static_cast<size_t>(x.shape()[0]));
  for (int64_t first = 0; first < x.shape()[0]; first += kQueriesAtOnce) {
    const int64_t last = std::min(first + kQueriesAtOnce, x.shape()[0]);
    const Tensor products = linear(Var(x.rows(first, last)), Var(rows_), Var()).value();  // [queries,N]
    for (const float product : products.values<float>())  // what is not a number has no place in an order
      CLOZE_CHECK(std::isfinite(product), ErrorCode::kValue,
                  "[classifier] the distances overflow: its rows, or the features, are too large");
    thread_team().for_ranges(last - first, 1, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        // A heap of the nearest so far, the farthest of them in front: all distances of all queries would be gigabytes.
        Neighbours near;
        const double own = squared_norm(row_of(x, first + q));
        for (int64_t i = 0; i < N; ++i) {
          if (!skip.empty() && skip[static_cast<size_t>(first + q)] == i) continue;
          const double product = static_cast<double>(products.data<float>()[q * N + i]);
          const double square = own + squares_.data<double>()[i] - 2 * product;
          const std::pair found(settings_.cosine ? 1 - product : std::sqrt(std::max(square, 0.0)), i);
          if (std::ssize(near) == count) {
            if (!(found < near.front())) continue;
            std::ranges::pop_heap(near);
            near.back() = found;
          } else {
            near.push_back(found);
          }
          std::ranges::push_heap(near);
        }
        std::ranges::sort_heap(near);
        result[static_cast<size_t>(first + q)] = std::move(near);
      }
    });
  }
  return result;
}

std::vector<double> KnnClassifier::votes(const Neighbours& neighbours, int64_t k) const {
  std::vector<double> votes(static_cast<size_t>(classes()));
  for (size_t i = 0; i < neighbours.size() && static_cast<int64_t>(i) < k; ++i) {
    // Majority: the nearest of equals decides, by less than any whole vote.
    const double vote = settings_.weighted ? 1 / std::max(neighbours[i].first, 1e-6)
                                           : 1 + std::ldexp(1.0, -20 - static_cast<int>(std::min<size_t>(i, 30)));
    votes[static_cast<size_t>(labels_.data<int32_t>()[neighbours[i].second])] += vote;
  }
  return votes;
}

Tensor KnnClassifier::score_rows(const Tensor& x) const {
  const Tensor scores({x.shape()[0], classes()}, DType::kF32);
  const std::vector<Neighbours> found = nearest(settings_.cosine ? unit_rows(x) : x, settings_.k);
  for (size_t row = 0; row < found.size(); ++row) {
    const std::vector<double> sums = votes(found[row], settings_.k);
    for (size_t c = 0; c < sums.size(); ++c) scores.data<float>()[row * sums.size() + c] = static_cast<float>(sums[c]);
  }
  return scores;
}

Tensor KnnClassifier::probability_rows(const Tensor& x) const {
  const Tensor p = score_rows(x);
  const int64_t C = classes();
  const double k = static_cast<double>(settings_.k);
  for (int64_t row = 0; row < p.shape()[0]; ++row) {
    float* values = p.data<float>() + row * C;
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += static_cast<double>(values[c]);
    for (int64_t c = 0; c < C; ++c)
      values[c] =
          static_cast<float>((k * static_cast<double>(values[c]) / sum + 1.0 / static_cast<double>(C)) / (k + 1));
  }
  return p;
}

Json KnnClassifier::settings() const {
  return {{"k", settings_.k},
          {"distance", settings_.cosine ? "cosine" : "euclidean"},
          {"vote", settings_.weighted ? "distance" : "majority"}};
}

std::vector<NamedTensor> KnnClassifier::tensors() const {
  return {{"rows", rows_}, {"labels", labels_}};
}

std::unique_ptr<Classifier> KnnClassifier::load(int64_t dimension, int classes, const Json& settings,
                                                const SafetensorsFile& file, const std::string& where) {
  check_tensor_names(file, {"rows", "labels"});
  const StoredTensor* stored = file.find("labels");
  const int64_t n = stored->shape.size() == 1 ? stored->shape[0] : 0;
  Settings own{json_int(settings, "k", where), one_of(settings, "distance", {"cosine", "euclidean"}, where) == "cosine",
               one_of(settings, "vote", {"distance", "majority"}, where) == "distance"};
  CLOZE_CHECK(own.k >= 1 && own.k <= n, ErrorCode::kFormat, "{}: \"k\" is {}, expected 1 to {}, the count of rows",
              where, own.k, n);
  Tensor rows = read_tensor(file, "rows", Shape({n, dimension}), DType::kF32);
  Tensor labels = read_tensor(file, "labels", Shape({n}), DType::kI32);
  for (const int32_t label : labels.values<int32_t>())
    CLOZE_CHECK(label >= 0 && label < classes, ErrorCode::kValue, "{}: a row has class {} of {}", file.path().string(),
                label, classes);
  return std::make_unique<KnnClassifier>(std::move(rows), std::move(labels), classes, own);
}

std::unique_ptr<Classifier> fit_knn(const LabelledVectors& data, const ClassifierOptions& options, uint64_t seed) {
  const int64_t n = data.x.shape()[0];
  CLOZE_CHECK(options.k <= n, ErrorCode::kValue, "[classifier] --k {}, but there are {} rows only", options.k, n);
  KnnClassifier::Settings settings{options.k, options.distance == "cosine", options.vote == "distance"};
  const Tensor rows = settings.cosine ? unit_rows(data.x) : data.x.clone();
  const std::vector<int32_t> labels(data.labels.begin(), data.labels.end());
  const Tensor classes = Tensor::of(Shape({n}), labels);
  if (options.k > 0) return std::make_unique<KnnClassifier>(rows, classes, data.classes, settings);
  settings.k = 1;
  const KnnClassifier all(rows, classes, data.classes, settings);
  const std::vector<size_t> sample = stratified_sample(data, kMostAsked, 2, seed);
  const std::vector<int64_t> skip(sample.begin(), sample.end());
  const auto neighbours = all.nearest(copy_rows(rows, sample), *std::ranges::max_element(kCandidates), skip);
  int64_t most = -1;
  for (const int64_t k : kCandidates) {
    if (k >= n) break;
    int64_t right = 0;
    for (size_t i = 0; i < sample.size(); ++i) {
      const std::vector<double> votes = all.votes(neighbours[i], k);
      right += std::ranges::max_element(votes) - votes.begin() == data.labels[sample[i]];
    }
    if (right > most) settings.k = k;
    most = std::max(most, right);
  }
  auto classifier = std::make_unique<KnnClassifier>(rows, classes, data.classes, settings);
  classifier->summary.push_back(fmt::format("k chosen = {}: accuracy {:.4f} with each of {} rows left out", settings.k,
                                            static_cast<double>(most) / static_cast<double>(sample.size()),
                                            sample.size()));
  return classifier;
}

}  // namespace cloze
