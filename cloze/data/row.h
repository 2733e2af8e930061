// One row of a table as the readers give it, and the forms that a table can have.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cloze/base/json.h"

namespace cloze {

enum class TableFormat {
  kByName,      ///< by the file's extension, see table_format_of()
  kLines,       ///< a text a line, tabs included: one field
  kTsv,         ///< fields parted by tabs, no quoting
  kCsv,         ///< RFC 4180: quoted fields may hold commas, line ends and doubled quotes
  kJsonl,       ///< an object a line
  kLabelSpace,  ///< two fields, parted at the first space (TREC's "label question"); only by name, never by extension
};

/// What to do with bytes that are not UTF-8.
enum class InvalidUtf8 {
  kRefuse,   ///< an error that gives file, line and byte offset in the row
  kReplace,  ///< U+FFFD for each maximal invalid subpart (WHATWG's rule), counted
};

/// The views live in the reader's buffers: they hold until its next next().
struct Row {
  std::vector<std::string_view> fields;  ///< empty for JSONL
  Json object;                           ///< JSONL only
  int64_t line = 0;                      ///< 1-based; of a row of several lines, the first
  int64_t replaced = 0;                  ///< invalid UTF-8 sequences of this row that became U+FFFD
};

}  // namespace cloze
