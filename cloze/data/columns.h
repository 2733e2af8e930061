// Which columns of a table hold the text, the text pair and the label.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cloze/data/columns_layout.h"
#include "cloze/data/row.h"

namespace cloze {

/// How much a role is wanted.
enum class Need {
  kRequired,  ///< an error if no column has it
  kOptional,  ///< used if found
  kIgnored,   ///< not looked for
};

struct ColumnOptions {
  /// A column's name, or its number from 1 on; empty: found by layout or usual names. A number is read as a name first.
  std::string text = "", text_pair = "", label = "";
  Need text_pair_need = Need::kOptional, label_need = Need::kRequired;
  Header header = Header::kExpected;
  std::string layout = "";              ///< a name of layouts(), or empty
  std::vector<std::string> extra = {};  ///< more columns to read as they are, by name or number
  /// Whether what `extra` says is noted for other tables: a number is then refused where the columns have names.
  bool extra_is_noted = false;
};

/// One column: its place in TSV, CSV and lines, its key in JSONL.
struct Column {
  std::string name;  ///< as the file spells it; empty without header
  size_t index = 0;  ///< from 0
};

struct Columns {
  Column text;
  std::optional<Column> text_pair, label;
  std::vector<Column> extra;  ///< as many as ColumnOptions::extra
  LabelPart label_part = LabelPart::kWhole;
  Header header = Header::kNone;  ///< whether the row given to resolve_columns() was a header
  size_t least_fields = 1;        ///< of each row (not JSONL)
  std::optional<size_t> most_fields;
  std::vector<std::string> unused;  ///< columns whose names would have served too: worth a word to the user
};

/// Resolves the roles. `first` is the first row of the table: the header where one is expected, else data; nullptr if
/// the table is empty. `file` names the file in errors.
///
/// A role's column is, in this order: the option's; the layout's; of a couple of usual names (usual_couples(), tried in
/// order, unless the text is given or no pair is wanted); the first of the role's usual names that is there. Names are
/// compared exactly first, then with case and blanks around them aside. With `text` given, a pair is only taken where
/// it is given too, or required. Without header only numbers say where a column is, and a lone column is the text.
///
/// Errors: kUsage for a column that is not there, named twice or used for two roles (with the columns found, the names
/// looked for, the nearest name and what to do); kFormat for a table that should have a header and is empty.
Columns resolve_columns(const ColumnOptions& options, TableFormat format, const Row* first, const std::string& file);

/// "text: column 2 "sentence", label: column 1 "label"" for the log.
std::string describe(const Columns& columns);

}  // namespace cloze
