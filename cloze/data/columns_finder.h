// The search for one column among a file's, and the errors for one that is not there. Serves columns.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/data/columns.h"

namespace cloze {

enum class Role { kText, kTextPair, kLabel };

/// The option that names a role's column.
const char* option_of(Role role);

/// The usual names of a role, in order of preference.
std::span<const std::string_view> usual_names(Role role);

class ColumnFinder {
 public:
  /// `first` is the header or, without one, the first row; of JSONL the first object.
  ColumnFinder(TableFormat format, Header header, const Row& first, const std::string& file);

  /// Fields of the first row, or keys of the first object.
  size_t count() const { return count_; }
  /// The columns' names as the file spells them; none without header.
  const std::vector<std::string>& names() const { return names_; }

  /// The column whose folded name (folded_name()) is `name`. Errors: kUsage if there are two.
  std::optional<Column> by_folded_name(std::string_view name) const;

  /// The column that an option names: by exact name, by folded name, by number. Errors: as by_folded_name().
  std::optional<Column> by_given(std::string_view given) const;

  /// Throw kUsage: the column `given`, asked for by `option`, is not there; no column for a role was found by usual
  /// names.
  [[noreturn]] void fail_given(std::string_view option, std::string_view given) const;
  [[noreturn]] void fail_missing(Role role) const;

 private:
  std::string found() const;

  TableFormat format_;
  std::string file_;
  std::vector<std::string> names_, folded_;
  size_t count_ = 0;
};

}  // namespace cloze
