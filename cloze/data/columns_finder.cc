#include "cloze/data/columns_finder.h"

#include <algorithm>
#include <charconv>

#include "cloze/base/error.h"
#include "cloze/data/columns_names.h"

namespace cloze {
namespace {

const char* word_of(Role role) {
  return role == Role::kText ? "text" : role == Role::kTextPair ? "text pair" : "label";
}

}  // namespace

const char* option_of(Role role) {
  return role == Role::kText ? "--text" : role == Role::kTextPair ? "--text-pair" : "--label";
}

std::span<const std::string_view> usual_names(Role role) {
  switch (role) {
    case Role::kText:
      return usual_text_names();
    case Role::kTextPair:
      return usual_text_pair_names();
    case Role::kLabel:
      return usual_label_names();
  }
  return {};
}

ColumnFinder::ColumnFinder(TableFormat format, Header header, const Row& first, const std::string& file)
    : format_(format), file_(file) {
  if (format == TableFormat::kJsonl) {
    for (const auto& [key, value] : first.object.items()) names_.push_back(key);
  } else if (header == Header::kExpected) {
    names_.assign(first.fields.begin(), first.fields.end());
  }
  count_ = format == TableFormat::kJsonl ? names_.size() : first.fields.size();
  for (const std::string& name : names_) folded_.push_back(folded_name(name));
}

std::optional<Column> ColumnFinder::by_folded_name(std::string_view name) const {
  const auto at = std::find(folded_.begin(), folded_.end(), name);
  if (at == folded_.end()) return std::nullopt;
  CLOZE_CHECK(std::find(at + 1, folded_.end(), name) == folded_.end(), ErrorCode::kUsage,
              "{}: two columns are named \"{}\"; give the one that is meant by its number ({})", file_, name, found());
  const size_t index = static_cast<size_t>(at - folded_.begin());
  return Column{names_[index], index};
}

std::optional<Column> ColumnFinder::by_given(std::string_view given) const {
  const auto exact = std::find(names_.begin(), names_.end(), given);
  if (exact != names_.end() && std::find(exact + 1, names_.end(), given) == names_.end()) {
    return Column{*exact, static_cast<size_t>(exact - names_.begin())};
  }
  if (const std::optional<Column> column = by_folded_name(folded_name(given))) return column;
  size_t number = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), number);
  const bool is_number = error == std::errc() && end == given.data() + given.size();
  if (format_ == TableFormat::kJsonl || !is_number || number < 1 || number > count_) return std::nullopt;
  return Column{names_.empty() ? "" : names_[number - 1], number - 1};
}

void ColumnFinder::fail_given(std::string_view option, std::string_view given) const {
  const std::string near = nearest_name(given, names_);
  fail(ErrorCode::kUsage, "{}: there is no column \"{}\" ({}){}; {}{}", file_, given, option,
       near.empty() ? "" : fmt::format(", did you mean \"{}\"?", near), found(),
       format_ == TableFormat::kJsonl ? "; give a key"
       : names_.empty()               ? "; give a number from 1 on"
                                      : "; give a name, or a number from 1 on");
}

void ColumnFinder::fail_missing(Role role) const {
  CLOZE_CHECK(!names_.empty() || format_ == TableFormat::kJsonl, ErrorCode::kUsage,
              "{}: which of its {} columns holds the {}? Without a header say it by number: {} N", file_, count_,
              word_of(role), option_of(role));
  fail(ErrorCode::kUsage, "{}: no column for the {}; {}. Looked for {}. Name it with {} {}", file_, word_of(role),
       found(), fmt::join(usual_names(role), ", "), option_of(role),
       format_ == TableFormat::kJsonl
           ? "KEY"
           : "NAME or NUMBER; if the first row is data, add --no-header; or name the file's layout with --format");
}

std::string ColumnFinder::found() const {
  if (format_ == TableFormat::kJsonl) return fmt::format("keys found: {}", quoted_list(names_));
  if (names_.empty()) return fmt::format("it has {} columns and no header", count_);
  return fmt::format("columns found: {}", quoted_list(names_));
}

}  // namespace cloze
