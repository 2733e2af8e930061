// A perceptron with one hidden layer: logits = V gelu(U z + a) + c, z = x standardised; probabilities are its softmax.
// Trained by AdamW on the cross-entropy in batches of 64 with a linear decline of the rate; a tenth of the rows
// (stratified, at least 20 rows in all) is held out, and the weights of the epoch with its least loss are kept.
//
// The file holds U [hidden,d] as "hidden.weight", a as "hidden.bias", V [C,hidden] as "output.weight", c as
// "output.bias", all F32, with standardisation folded into U and a.
#pragma once

#include "cloze/nn/layers.h"
#include "cloze/transfer/classifier.h"

namespace cloze {

class MlpClassifier : public Classifier {
 public:
  MlpClassifier(int64_t dimension, int64_t hidden, int classes);
  /// Errors: those of load_classifier.
  static std::unique_ptr<Classifier> load(int64_t dimension, int classes, const Json& settings,
                                          const SafetensorsFile& file, const std::string& where);
  Json settings() const override;
  std::vector<NamedTensor> tensors() const override;

  Var forward(const Var& x) const;  ///< [n,d] -> logits [n,C]
  ParameterList parameters();

 protected:
  Tensor score_rows(const Tensor& x) const override;
  Tensor probability_rows(const Tensor& x) const override;

 private:
  int64_t units_;
  Linear hidden_, output_;
};

std::unique_ptr<Classifier> fit_mlp(const LabelledVectors& data, const ClassifierOptions& options, uint64_t seed);

}  // namespace cloze
