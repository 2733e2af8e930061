// k nearest neighbours: each votes for its class.
//
//   distance  cosine 1 - x y / (|x| |y|), or euclidean |x - y|; of equals the earlier row is nearer
//   vote      1, or with `distance` 1 / max(distance, 1e-6); a class's score v_c is the sum of its votes
//   probabilities  (k v_c / sum v + 1/C) / (k + 1): the share of the votes, and one vote spread over all classes, so
//                  that none is impossible
// Majority votes that are equal go to the class of the nearest neighbour among them.
//
// The file holds the rows [n,d] F32 as "rows" (of unit length for cosine) and their classes [n] I32 as "labels".
#pragma once

#include "cloze/transfer/classifier.h"

namespace cloze {

class KnnClassifier : public Classifier {
 public:
  struct Settings {
    int64_t k;
    bool cosine, weighted;
  };
  KnnClassifier(Tensor rows, Tensor labels, int classes, const Settings& settings);
  /// Errors: those of load_classifier.
  static std::unique_ptr<Classifier> load(int64_t dimension, int classes, const Json& settings,
                                          const SafetensorsFile& file, const std::string& where);
  Json settings() const override;
  std::vector<NamedTensor> tensors() const override;

  /// The `count` nearest rows of each of x [n,d] (prepared as the rows are), nearest first, as (distance, row).
  /// `skip`, if not empty, names for each of x a row that is not its neighbour: itself.
  using Neighbours = std::vector<std::pair<double, int64_t>>;
  std::vector<Neighbours> nearest(const Tensor& x, int64_t count, std::span<const int64_t> skip = {}) const;
  /// Votes by class of the first k of them.
  std::vector<double> votes(const Neighbours& neighbours, int64_t k) const;

 protected:
  Tensor score_rows(const Tensor& x) const override;
  Tensor probability_rows(const Tensor& x) const override;

 private:
  Tensor rows_, labels_;
  Tensor squares_;  ///< |y|^2 [n], for euclidean
  Settings settings_;
};

/// Where options.k is 0, k is the one of 1, 3, 5, 9, 15 and 25 (below the count of rows) that gives the most rows their
/// own class when each is left out, the smallest among equals; at most 4000 rows are asked.
std::unique_ptr<Classifier> fit_knn(const LabelledVectors& data, const ClassifierOptions& options, uint64_t seed);

}  // namespace cloze
