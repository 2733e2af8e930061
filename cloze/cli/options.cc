#include "cloze/cli/options.h"

#include <cstdlib>

#include "cloze/base/suggest.h"
#include "cloze/base/thread_team.h"
#include "cloze/data/columns_layout.h"

namespace cloze::cli {

void ThreadsOption::add(CLI::App& app) {
  app.add_option("--threads", threads, "threads; 0: all that this process may use, or CLOZE_NUM_THREADS")
      ->capture_default_str();
}

void ThreadsOption::apply() const {
  CLOZE_CHECK(threads >= 0 && threads <= 1024, ErrorCode::kUsage, "--threads must be 0 (all) to 1024, got {}", threads);
  if (threads != 0) set_thread_count(threads);
}

void ThreadsOption::apply(Communicator& communicator) const {
  apply();
  if (communicator.size() == 1) return;
  const int fair = fair_threads(communicator);  // on all of them, whatever they were asked for
  if (threads == 0 && std::getenv("CLOZE_NUM_THREADS") == nullptr) set_thread_count(fair);
}

void LengthFlags::add(CLI::App& app) {
  app.add_option("--max-length", lengths.max_length, "tokens a row; 0: as trained")->capture_default_str();
  app.add_option("--long", lengths.long_texts,
                 "longer rows: truncate, head-tail (cut the middle), window (split, average); default: as trained");
  app.add_option("--stride", lengths.stride,
                 "with --long window: tokens that neighbouring windows share; -1: as trained, or a quarter of them")
      ->capture_default_str();
}

void TableFlags::add(CLI::App& app, Labels labels, const char* invalid) {
  invalid_utf8 = invalid;
  std::string names;
  for (const Layout& layout : layouts()) names += (names.empty() ? "" : ", ") + std::string(layout.name);
  app.add_option("--format", format,
                 "lines, tsv, csv, jsonl, or a known layout: " + names + " (default: by the file's extension)");
  app.add_option("--text", text, "column of the text: name, or number from 1");
  app.add_option("--text-pair", text_pair, "column of the second text");
  if (labels == Labels::kOffer) app.add_option("--label", label, "column of the label");
  app.add_flag("--no-header", no_header, "the first row is data");
  app.add_option("--invalid-utf8", invalid_utf8, "bytes that are not UTF-8: refuse or replace")->capture_default_str();
}

void PrecisionFlag::add(CLI::App& app, const std::string& help) {
  app.add_option("--precision", precision, "of the encoder's products: " + help)->capture_default_str();
}

Precision PrecisionFlag::resolve() const {
  if (precision == "fp32") return Precision::kF32;
  if (precision == "int8") return Precision::kInt8;
  CLOZE_CHECK(precision != "bf16", ErrorCode::kUsage,
              "--precision bf16 is for training (finetune, bench --mode train); a trained model takes fp32 or int8");
  fail(ErrorCode::kUsage, "--precision must be fp32 or int8, got \"{}\"{}", precision,
       did_you_mean(precision, {"fp32", "int8"}));
}

ExampleOptions TableFlags::resolve() const {
  ExampleOptions options;
  options.columns.text = text;
  options.columns.text_pair = text_pair;
  options.columns.label = label;
  if (no_header) options.columns.header = Header::kNone;
  if (format == "lines" || format == "tsv" || format == "csv" || format == "jsonl" || format == "json")
    options.table.format = parse_table_format(format);
  else if (!format.empty())
    options.columns.layout = format;
  CLOZE_CHECK(invalid_utf8 == "refuse" || invalid_utf8 == "replace", ErrorCode::kUsage,
              "--invalid-utf8 must be refuse or replace, got \"{}\"{}", invalid_utf8,
              did_you_mean(invalid_utf8, {"refuse", "replace"}));
  options.table.invalid_utf8 = invalid_utf8 == "refuse" ? InvalidUtf8::kRefuse : InvalidUtf8::kReplace;
  return options;
}

std::vector<std::string> TableFlags::arguments() const {
  std::vector<std::string> all;
  for (const auto& [name, value] : {std::pair{"--format", &format},
                                    {"--text", &text},
                                    {"--text-pair", &text_pair},
                                    {"--label", &label},
                                    {"--invalid-utf8", &invalid_utf8}})
    if (!value->empty()) all.insert(all.end(), {name, *value});
  if (no_header) all.emplace_back("--no-header");
  return all;
}

std::optional<DType> parse_float_type(const std::string& name, const char* option) {
  if (name.empty()) return std::nullopt;
  for (const auto& [known, type] : {std::pair{"f32", DType::kF32}, {"f16", DType::kF16}, {"bf16", DType::kBF16}})
    if (name == known) return type;
  fail(ErrorCode::kUsage, "unknown {} \"{}\"; known are {}f32, f16, bf16", option, name,
       std::string_view(option) == "--weights" ? "int8, " : "");
}

void require_columns(const ColumnOptions& needs, ExampleOptions& options) {
  CLOZE_CHECK(needs.label_need != Need::kIgnored || options.columns.label.empty(), ErrorCode::kUsage,
              "--label {}: this task reads no labels", options.columns.label);
  options.columns.label_need = needs.label_need;
  options.columns.text_pair_need = needs.text_pair_need;
  options.columns.extra = needs.extra;
}

}  // namespace cloze::cli
