#include "cloze/data/columns_layout.h"

#include <array>
#include <string>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/data/columns_names.h"

namespace cloze {
namespace {

constexpr Layout named(std::string_view name, TableFormat format, std::string_view text, std::string_view text_pair,
                       std::string_view label, std::string_view summary) {
  return {.name = name,
          .format = format,
          .header = Header::kExpected,
          .text = text,
          .text_pair = text_pair,
          .label = label,
          .fields = 0,
          .more_fields = false,
          .label_part = LabelPart::kWhole,
          .summary = summary};
}

constexpr Layout numbered(std::string_view name, TableFormat format, std::string_view text, std::string_view text_pair,
                          std::string_view label, size_t fields, std::string_view summary) {
  return {.name = name,
          .format = format,
          .header = Header::kNone,
          .text = text,
          .text_pair = text_pair,
          .label = label,
          .fields = fields,
          .more_fields = false,
          .label_part = LabelPart::kWhole,
          .summary = summary};
}

constexpr Layout with_label_part(Layout layout, LabelPart part) {
  layout.label_part = part;
  return layout;
}

constexpr Layout with_more_fields(Layout layout) {
  layout.more_fields = true;
  return layout;
}

constexpr TableFormat kTsv = TableFormat::kTsv, kCsv = TableFormat::kCsv;

constexpr auto kLayouts = std::to_array<Layout>({
    numbered("cola", kTsv, "4", "", "2", 4, "TSV without header: source, label, mark, sentence"),
    named("sst2", kTsv, "", "", "label", "TSV with header: label and sentence (or content)"),
    named("rte", kTsv, "sentence1", "sentence2", "label", "TSV with header: index, sentence1, sentence2, label"),
    named("mrpc", kTsv, "#1 String", "#2 String", "Quality", "TSV with header: Quality, ids, #1 String, #2 String"),
    named("qqp", kTsv, "question1", "question2", "is_duplicate", "TSV with header: ids, two questions, is_duplicate"),
    named("qnli", kTsv, "question", "sentence", "label", "TSV with header: index, question, sentence, label"),
    named("mnli", kTsv, "sentence1", "sentence2", "gold_label", "TSV with header: …, sentence1, sentence2, gold_label"),
    named("stsb", kTsv, "sentence1", "sentence2", "score", "TSV with header: …, sentence1, sentence2, score"),
    with_more_fields(numbered("stsb-original", kTsv, "6", "7", "5", 7,
                              "TSV without header: genre, file, year, id, score, two sentences, maybe sources")),
    numbered("stsb-zh", kTsv, "1", "2", "3", 3, "TSV without header: two sentences, score"),
    with_label_part(numbered("trec", TableFormat::kLabelSpace, "2", "", "1", 2,
                             "label, space, question; the label's part before ':' (6 classes)"),
                    LabelPart::kBeforeColon),
    numbered("trec-fine", TableFormat::kLabelSpace, "2", "", "1", 2, "label, space, question; the whole label"),
    named("imdb", kTsv, "sentence", "", "label", "TSV with header: id, label, rating, sentence"),
    named("banking77", kCsv, "text", "", "category", "CSV with header: text, category"),
    named("chnsenticorp", kTsv, "text_a", "", "label", "TSV with header: label, text_a"),
});

}  // namespace

std::span<const Layout> layouts() {
  return kLayouts;
}

const Layout& find_layout(std::string_view name) {
  std::vector<std::string> names;
  for (const Layout& layout : kLayouts) {
    if (layout.name == name) return layout;
    names.emplace_back(layout.name);
  }
  std::vector<std::string> all = {"lines", "tsv", "csv", "jsonl"};
  all.insert(all.end(), names.begin(), names.end());
  fail(ErrorCode::kUsage, "unknown table layout \"{}\"{}; there are lines, tsv, csv, jsonl, and {}", name,
       did_you_mean(name, all), quoted_list(names));
}

}  // namespace cloze
