// Metrics as text for people: aligned tables, also with Chinese labels.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cloze/metrics/classification.h"

namespace cloze {

/// Columns that UTF-8 text takes in a terminal: 2 for East Asian wide characters and most emoji, 0 for combining marks
/// and other invisible ones, else 1. An approximation by ranges of code points (Unicode TR 11).
int display_width(std::string_view text);

/// `text` for one cell of a table: control characters become blanks, and it is cut to at most `columns` columns, the
/// last of them "…" if something was cut.
std::string fit_width(std::string_view text, int columns);

/// Precision, recall, F1 and support a class, then accuracy and the macro and weighted averages; one line each.
/// Errors: kValue unless there is a label a class.
std::string class_table(const ConfusionMatrix& matrix, std::span<const std::string> labels);

/// Above this number of classes the confusion matrix is summarised by its largest confusions.
constexpr int kMostMatrixClasses = 20;

/// The confusion matrix (rows truth, columns predicted); of more than kMostMatrixClasses classes, the `most_pairs` most
/// frequent confusions and how many mistakes the list leaves out. Errors: as class_table().
std::string confusion_text(const ConfusionMatrix& matrix, std::span<const std::string> labels, size_t most_pairs = 20);

}  // namespace cloze
