// Numbers that are joined to a text's vector before a classifier is fitted: columns of the table, scores of word lists,
// TF-IDF, vectors of a second encoder.
//
// All groups are brought to one scale, so that none drowns the others: a text's vector is standardised and scaled so
// that its squares sum to kGroupSquare on average; rows of TF-IDF have that sum of squares; numbers are standardised.
// Where a head learns by gradients (numbers()), these are multiplied by kNumberGain besides: Adam moves all weights
// alike, so what a group can say within the steps that an encoder is tuned in goes by the sum of its absolute values,
// and a lone number must come to count as a row of TF-IDF does, whose values sum to about that.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/io/model_dir.h"
#include "cloze/task/row_numbers.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

/// Sum of squares of a text's vector and of a row of TF-IDF.
inline constexpr double kGroupSquare = 256;
/// What RowNumbers::numbers() multiplies lone numbers by.
inline constexpr double kNumberGain = 128;

/// One of `--features`: "numeric=COLUMN", "category=COLUMN", "lexicon=FILE", "tfidf-words[=TERMS]",
/// "tfidf-chars[=TERMS]" or "encoder=DIR[:POOLING]".
struct FeatureSpec {
  std::string kind, argument;
  std::string text() const { return argument.empty() ? kind : kind + "=" + argument; }
};
/// Errors: kUsage for an unknown kind (with the nearest) or a missing or idle argument.
FeatureSpec parse_feature(const std::string& text);
/// The columns that these read, in their order: ColumnOptions::extra.
std::vector<std::string> feature_columns(const std::vector<FeatureSpec>& specs);

/// The rows that features are fitted on.
struct FeatureRows {
  std::span<const TextExample> rows;  ///< with the extra columns
  std::string file;                   ///< for messages
  std::string cache_folder;           ///< of a second encoder's vectors; may be empty
};

/// One group of numbers. Thread-compatible; what it gives depends on the row alone.
class FeatureGroup {
 public:
  virtual ~FeatureGroup() = default;
  virtual const char* kind() const = 0;
  virtual int64_t width() const = 0;
  /// Whether fill() scales rows to kGroupSquare; else each number is standardised, or 0 or 1.
  virtual bool fills_square() const { return false; }
  /// Writes the rows' numbers to columns [begin, begin + width()) of x [n,D] F32. `extra`: the place of the group's
  /// column in TextExample::extra. Errors: kValue for a cell that cannot be read, with `file` and line.
  virtual void fill(std::span<const TextExample> rows, size_t extra, const std::string& file, const Tensor& x,
                    int64_t begin) const = 0;
  /// Throws what fill() would.
  virtual void check(const TextExample&, size_t /*extra*/, const std::string& /*file*/) const {}
  virtual Json to_json() const = 0;
  /// Files of its own in the model directory, e.g. a second encoder. Errors: kIo.
  virtual void save_files(const ModelFiles&) const {}
  /// The column that it reads; empty for none.
  std::string column;
  std::string summary;  ///< of the fit, a line
};

/// The vector of a text and all that is joined to it. Without fit_text(): what stands beside a vector that is still
/// learned, as RowNumbers.
class JoinedFeatures : public RowNumbers {
 public:
  /// Fits every group. Errors: kUsage, kValue for what cannot be fitted (a constant column, no term that is frequent
  /// enough), those of reading lexicons and encoders.
  static JoinedFeatures fit(const std::vector<FeatureSpec>& specs, const FeatureRows& rows);
  /// Fits the scale of the same rows' text vectors [n,D], before join().
  void fit_text(const Tensor& vectors);

  /// [n,D] and the rows -> [n,width()].
  Tensor join(const Tensor& vectors, std::span<const TextExample> rows, const std::string& file) const;
  Tensor numbers(std::span<const TextExample> rows, const std::string& file) const override;
  void check(const TextExample& row, const std::string& file) const override;
  int64_t width() const override;
  int64_t text_width() const { return static_cast<int64_t>(mean_.size()); }
  std::vector<std::string> columns() const override;
  std::vector<std::string> summary() const override;

  static constexpr const char* kFile = "features.json";
  void save(const ModelFiles& files) const override;
  /// Errors: kNotFound, kFormat, kValue for a file that is not what save() writes.
  static JoinedFeatures load(const ModelFiles& files);

 private:
  Json to_json() const;
  /// Fills the columns from text_width() on of x [n,width()].
  void fill_groups(std::span<const TextExample> rows, const std::string& file, const Tensor& x) const;

  std::vector<float> mean_, scale_;  ///< of the text's vector; empty without fit_text()
  std::vector<std::shared_ptr<const FeatureGroup>> groups_;
};

}  // namespace cloze
