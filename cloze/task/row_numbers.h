// Numbers that a row has beside its text's tokens, for heads that read both: what `finetune --features` joins.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cloze/data/example.h"
#include "cloze/io/model_dir.h"
#include "cloze/tensor/tensor.h"

namespace cloze {

/// What turns rows into numbers; fitted on training rows. Thread-compatible; what it gives depends on the row alone.
class RowNumbers {
 public:
  virtual ~RowNumbers() = default;
  virtual int64_t width() const = 0;
  /// The columns that it reads: ColumnOptions::extra.
  virtual std::vector<std::string> columns() const = 0;
  /// [n,width()] F32. Errors: kValue for a cell that cannot be read, with `file` and line.
  virtual Tensor numbers(std::span<const TextExample> rows, const std::string& file) const = 0;
  /// Throws what numbers() would for the row.
  virtual void check(const TextExample& row, const std::string& file) const = 0;
  /// Facts for the log, a line each.
  virtual std::vector<std::string> summary() const = 0;
  /// Writes its files into a model directory. Errors: kIo.
  virtual void save(const ModelFiles& files) const = 0;
};

/// config.json's "cloze" member that says, with true, that a text-classification model reads numbers.
inline constexpr const char* kNumbersKey = "features";

using RowNumbersPtr = std::shared_ptr<const RowNumbers>;
/// Fits on the training rows of `file`.
using FitNumbers = std::function<RowNumbersPtr(std::span<const TextExample> rows, const std::string& file)>;

/// The numbers of many rows without their zeros, of which TF-IDF has mostly.
class SparseRows {
 public:
  SparseRows() = default;
  /// Errors: those of RowNumbers::numbers().
  SparseRows(const RowNumbers& numbers, std::span<const TextExample> rows, const std::string& file);
  int64_t width() const { return width_; }
  /// These rows: [picked,width()] F32.
  Tensor dense(std::span<const size_t> picked) const;
  /// All rows times the transpose of weight [C,width()]: [rows,C] F32. Sums in f64, so a row's do not depend on others.
  Tensor times(const Tensor& weight) const;
  /// 16 hexadecimal digits that change with the numbers.
  std::string hash() const;

 private:
  int64_t width_ = 0;
  std::vector<size_t> begin_ = {0};
  std::vector<int32_t> columns_;
  std::vector<float> values_;
};

}  // namespace cloze
