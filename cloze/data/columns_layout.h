// Layouts of well-known files: where text and label stand, by the file's name in the literature (`--format NAME`).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "cloze/data/row.h"

namespace cloze {

/// Whether the first row of a TSV or CSV file holds the columns' names.
enum class Header { kExpected, kNone };

/// What of the label column is the label.
enum class LabelPart {
  kWhole,
  kBeforeColon,  ///< "DESC" of "DESC:manner" (TREC's coarse classes); the whole where there is no colon
};

struct Layout {
  std::string_view name;
  TableFormat format;  ///< the form where the file's extension gives none; kLabelSpace overrules the extension
  Header header;
  std::string_view text, text_pair, label;  ///< column names, or 1-based numbers as text; empty: by usual names
  size_t fields;                            ///< fields of a row without header; 0: as the first row
  bool more_fields;                         ///< rows may have more than `fields`
  LabelPart label_part;
  std::string_view summary;  ///< for help
};

/// All layouts, in the order in which help lists them.
std::span<const Layout> layouts();

/// Errors: kUsage, with the names that there are and the nearest.
const Layout& find_layout(std::string_view name);

}  // namespace cloze
