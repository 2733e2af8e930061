// text-classification with a frozen encoder: its vectors, and a classical classifier on them.
//
// The model directory is an ordinary one of the encoder (BertModel), with classifier.json and classifier.safetensors
// beside it and {"task": "text-classification", "frozen": {"pooling", "normalize"}} in config.json under "cloze".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cloze/task/task.h"
#include "cloze/transfer/classifier.h"
#include "cloze/transfer/feature_cache.h"

namespace cloze {

struct FrozenOptions {
  std::string pooling = "mean";  ///< see pooling.h; "auto": the best on the dev rows
  bool normalize = false;
  std::string feature_cache;
  std::vector<std::string> features;  ///< see parse_feature()
  ClassifierOptions classifier;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("pooling", pooling, "how hidden states become a vector: see cloze embed; auto: the best on the dev rows");
    visitor("normalize", normalize, "divide each vector by its length");
    visitor("feature_cache", feature_cache, "folder where vectors are kept, so that a text is read once by all runs");
    visitor("features", features,
            "join to the text's vector: numeric=COLUMN, category=COLUMN, lexicon=FILE, tfidf-words[=TERMS], "
            "tfidf-chars[=TERMS], encoder=DIR[:POOLING]");
    classifier.visit(visitor);
  }
};

/// Hears what happens; both may be empty.
struct FrozenObserver {
  std::function<void(const std::string& line)> say;
  FeatureProgress progress;
};

struct FrozenResult {
  Evaluation dev;  ///< empty without dev rows
  FeatureCounts features;
  double encode_seconds = 0, fit_seconds = 0;
  int64_t classifier_numbers = 0;  ///< that were fitted
};

/// Reads the rows of `source`, runs its model's encoder over them, fits the classifier.
class FrozenTraining {
 public:
  /// Errors: those of reading rows, labels, the encoder and the poolings; kUsage for "auto" without dev rows.
  FrozenTraining(const TrainingSource& source, const FrozenOptions& options, const FrozenObserver& observer);
  ~FrozenTraining();
  /// Errors: those of fit_classifier.
  FrozenResult run();
  /// Writes the model directory, the encoder's weights last. Errors: kIo.
  void save(const ModelFiles& files) const;
  /// What the rows and the encoder were, for run.json.
  Json fingerprint() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether config.json says that the directory holds such a model.
bool is_frozen_classifier(const BertConfig& config);
std::unique_ptr<Predictor> load_frozen_classifier(const ModelFiles& files, const LoadOptions& options);

/// The model of a directory, whatever trained it: task_of(files, task).load, load_frozen_classifier or Ensemble::load.
std::unique_ptr<Predictor> load_predictor(const ModelFiles& files, const std::string& task, const LoadOptions& options);

}  // namespace cloze
