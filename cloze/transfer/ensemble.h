// Several trained text classifiers as one: the weighted mean of their class probabilities, or a classifier fitted on
// their log probabilities ("stacking": Wolpert, "Stacked generalization", 1992).
//
// A model directory of an ensemble holds ensemble.json, the members in member-1, member-2, …, and with stacking
// classifier.json and classifier.safetensors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cloze/task/task.h"
#include "cloze/transfer/classifier.h"

namespace cloze {

/// The folders of an ensemble's members; of any other model its own. Errors: kFormat for a broken ensemble.json.
std::vector<Path> single_models(const Path& model);

class Ensemble : public Predictor {
 public:
  /// Loads the members, which must be single models that know the same labels, in any order; the first one's counts.
  /// Equal weights. Errors: kUsage for fewer than two, an ensemble, other labels; those of load_predictor.
  Ensemble(const std::vector<Path>& members, const LoadOptions& options);
  /// Reads ensemble.json. Errors: kFormat for what save() does not write; those of the members and load_classifier.
  static std::unique_ptr<Ensemble> load(const ModelFiles& files, const LoadOptions& options);

  /// How much each member counts in the mean: as many as members, not negative, not all 0. Errors: kUsage.
  void set_weights(const std::vector<double>& weights);
  /// Fits `linear` on labelled rows that no member was trained on. Errors: those of evaluate and fit_classifier.
  void stack(std::span<const TextExample> rows, const std::string& file, uint64_t seed);
  /// Copies the members and writes the rest, ensemble.json last. Errors: kIo; kUsage for a folder that is not empty.
  void save(const Path& folder) const;

  size_t size() const { return members_.size(); }
  /// Of member i alone, on rows with the ensemble's columns.
  Evaluation evaluate_member(size_t i, std::span<const TextExample> rows, const std::string& file);
  /// Of how the stack was fitted.
  std::vector<std::string> summary() const;

  Answers predict(std::span<const TextExample> rows) override;
  Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) override;
  ClassifiedRows classify(std::span<const TextExample> rows, const std::string& file) override;
  const std::vector<std::string>& class_labels() const override { return members_[0]->class_labels(); }
  void check(const TextExample& row, const std::string& file) const override;
  ColumnOptions prediction_columns() const override { return columns(Need::kIgnored); }
  ColumnOptions evaluation_columns() const override { return columns(Need::kRequired); }
  TextExample sample_row() const override;
  const LoadReport& load_report() const override { return members_[0]->load_report(); }
  const RowLimits& limits() const override { return members_[0]->limits(); }

 private:
  ColumnOptions columns(Need label) const;
  /// A row with the columns of member i alone.
  TextExample own_row(const TextExample& row, size_t i) const;
  /// Each member's probabilities [rows,C], in the order of class_labels(); `encoded` gets the first's rows.
  std::vector<Tensor> probabilities(std::span<const TextExample> rows, const std::string& file, EncodedRows& encoded);
  Tensor combine(const std::vector<Tensor>& each) const;
  static Tensor log_probabilities(const std::vector<Tensor>& each);

  std::vector<Path> folders_;
  std::vector<std::unique_ptr<Predictor>> members_;
  std::vector<std::vector<size_t>> order_;  ///< of each member: where class_labels() stand among its own
  std::vector<size_t> extra_begin_;         ///< of each member and the end: its columns in TextExample::extra
  std::vector<double> weights_;
  std::unique_ptr<Classifier> stack_;
};

}  // namespace cloze
