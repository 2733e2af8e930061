#include "cloze/data/columns.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/data/columns_finder.h"
#include "cloze/data/columns_names.h"

namespace cloze {
namespace {

/// One role, by option, layout or usual name.
std::optional<Column> find_role(const ColumnFinder& finder, Role role, const std::string& given,
                                std::string_view by_layout, Need need) {
  if (need == Need::kIgnored) return std::nullopt;
  if (!given.empty()) {
    const std::optional<Column> column = finder.by_given(given);
    if (!column) finder.fail_given(option_of(role), given);
    return column;
  }
  if (!by_layout.empty()) {
    const std::optional<Column> column = finder.by_given(by_layout);
    if (column || need == Need::kOptional) return column;
    finder.fail_given(option_of(role), by_layout);
  }
  for (const std::string_view name : usual_names(role)) {
    if (const std::optional<Column> column = finder.by_folded_name(name)) return column;
  }
  if (need == Need::kRequired) finder.fail_missing(role);
  return std::nullopt;
}

/// Columns that the usual names know and that have no role.
std::vector<std::string> unused_names(const ColumnFinder& finder, const Columns& columns,
                                      const ColumnOptions& options) {
  std::vector<std::string> unused;
  for (size_t i = 0; i < finder.names().size(); ++i) {
    const std::string folded = folded_name(finder.names()[i]);
    const auto knows = [&](Role role, Need need) {
      const std::span<const std::string_view> list = usual_names(role);
      return need != Need::kIgnored && std::find(list.begin(), list.end(), folded) != list.end();
    };
    const auto is = [&](const std::optional<Column>& column) { return column && column->index == i; };
    if (std::ranges::any_of(columns.extra, [&](const Column& column) { return column.index == i; })) continue;
    if (is(columns.text) || is(columns.text_pair) || is(columns.label)) continue;
    if (knows(Role::kText, Need::kRequired) || knows(Role::kTextPair, options.text_pair_need) ||
        knows(Role::kLabel, options.label_need)) {
      unused.push_back(finder.names()[i]);
    }
  }
  return unused;
}

void check_apart(const Columns& columns, const std::string& file) {
  const auto apart = [&](const std::optional<Column>& a, const std::optional<Column>& b, const char* roles) {
    CLOZE_CHECK(!a || !b || a->index != b->index, ErrorCode::kUsage,
                "{}: column {}{} is asked for as {}; each needs its own", file, a->index + 1,
                a->name.empty() ? "" : fmt::format(" \"{}\"", a->name), roles);
  };
  apart(columns.text, columns.text_pair, "both text and text pair");
  apart(columns.text, columns.label, "both text and label");
  apart(columns.text_pair, columns.label, "both text pair and label");
}

/// Plain text has one column; whatever else is asked for cannot be had.
Columns lines_columns(const ColumnOptions& options, const std::string& file) {
  const bool named =
      !options.text.empty() || !options.text_pair.empty() || !options.label.empty() || !options.extra.empty();
  CLOZE_CHECK(!named && options.label_need != Need::kRequired && options.text_pair_need != Need::kRequired,
              ErrorCode::kUsage,
              "{}: read as plain text, a text a line, it has no columns and so no {}; say what it is by its extension "
              "(.tsv, .csv, .jsonl) or by --format",
              file,
              named                                   ? "column of that name"
              : options.label_need == Need::kRequired ? "label"
                                                      : "text pair");
  Columns columns;
  columns.most_fields = 1;
  return columns;
}

void find_texts(const ColumnFinder& finder, const ColumnOptions& options, const Layout* layout, Columns& columns) {
  const std::string_view text = layout != nullptr ? layout->text : "",
                         pair = layout != nullptr ? layout->text_pair : "";
  const bool text_known = !options.text.empty() || !text.empty();
  const bool pair_known = !options.text_pair.empty() || !pair.empty();
  if (!text_known && !pair_known && options.text_pair_need != Need::kIgnored) {
    for (const auto& [first, second] : usual_couples()) {
      const std::optional<Column> a = finder.by_folded_name(first), b = finder.by_folded_name(second);
      if (!a || !b) continue;
      columns.text = *a;
      columns.text_pair = b;
      return;
    }
  }
  columns.text = find_role(finder, Role::kText, options.text, text, Need::kRequired).value();
  Need need = options.text_pair_need;
  if (text_known && !pair_known && need == Need::kOptional) need = Need::kIgnored;
  columns.text_pair = find_role(finder, Role::kTextPair, options.text_pair, pair, need);
}

}  // namespace

Columns resolve_columns(const ColumnOptions& given, TableFormat format, const Row* first, const std::string& file) {
  const Layout* layout = given.layout.empty() ? nullptr : &find_layout(given.layout);
  if (format == TableFormat::kLines) return lines_columns(given, file);
  Columns columns;
  columns.header = given.header == Header::kNone || format == TableFormat::kJsonl || format == TableFormat::kLabelSpace
                       ? Header::kNone
                   : layout != nullptr ? layout->header
                                       : Header::kExpected;
  CLOZE_CHECK(columns.header == Header::kNone || first != nullptr, ErrorCode::kFormat,
              "{}: expected a header row with the columns' names, found an empty file", file);
  if (first == nullptr) return columns;  // no rows, nothing to find

  const ColumnFinder finder(format, columns.header, *first, file);
  ColumnOptions options = given;
  if (columns.header == Header::kNone && format != TableFormat::kJsonl && finder.count() == 1 && options.text.empty()) {
    options.text = "1";
  }
  columns.least_fields = finder.count();
  columns.most_fields = finder.count();
  if (layout != nullptr && layout->fields > 0 && format != TableFormat::kJsonl) {
    columns.least_fields = layout->fields;
    columns.most_fields = layout->more_fields ? std::nullopt : std::optional<size_t>(layout->fields);
    CLOZE_CHECK(finder.count() >= columns.least_fields, ErrorCode::kFormat,
                "{} line {}: layout \"{}\" has rows of {} fields ({}), found {}", file, first->line, layout->name,
                layout->fields, layout->summary, finder.count());
  }
  find_texts(finder, options, layout, columns);
  columns.label =
      find_role(finder, Role::kLabel, options.label, layout != nullptr ? layout->label : "", options.label_need);
  for (const std::string& name : options.extra) {
    const std::optional<Column> column = finder.by_given(name);
    if (!column) finder.fail_given("--features", name);
    // Answers come from other tables, which hold the column under its name, not at its place.
    const bool by_number = !column->name.empty() && name == std::to_string(column->index + 1) && name != column->name;
    CLOZE_CHECK(!by_number || !options.extra_is_noted, ErrorCode::kUsage,
                "{}: --features names the column \"{}\" by its number {}; give its name, for other tables may have it "
                "elsewhere",
                file, column->name, name);
    columns.extra.push_back(*column);
  }
  columns.label_part = layout != nullptr ? layout->label_part : LabelPart::kWhole;
  check_apart(columns, file);
  columns.unused = unused_names(finder, columns, options);
  return columns;
}

std::string describe(const Columns& columns) {
  const auto one = [](const char* role, const Column& column) {
    return column.name.empty() ? fmt::format("{}: column {}", role, column.index + 1)
                               : fmt::format("{}: column {} \"{}\"", role, column.index + 1, column.name);
  };
  std::string text = one("text", columns.text);
  if (columns.text_pair) text += ", " + one("text pair", *columns.text_pair);
  if (columns.label) text += ", " + one("label", *columns.label);
  if (!columns.unused.empty()) text += "; not used: " + quoted_list(columns.unused);
  return text;
}

}  // namespace cloze
