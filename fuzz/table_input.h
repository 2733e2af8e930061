// Tables for fuzzing: two bytes choose form and columns, the rest is the file.
#pragma once

#include "cloze/data/example.h"
#include "fuzz/fuzz.h"

namespace cloze::fuzz {

struct TableInput {
  ExampleOptions options;
  std::string_view bytes;

  explicit TableInput(Input input) {
    constexpr TableFormat kFormats[] = {TableFormat::kCsv,   TableFormat::kTsv,       TableFormat::kJsonl,
                                        TableFormat::kLines, TableFormat::kCsv,       TableFormat::kJsonl,
                                        TableFormat::kTsv,   TableFormat::kLabelSpace};
    constexpr const char* kGiven[] = {"", "", "", "1", "2", "text", "sentence", "b"};
    const unsigned form = input.byte(), roles = input.byte();
    options.table.format = kFormats[form & 7];
    options.table.invalid_utf8 = form & 8 ? InvalidUtf8::kReplace : InvalidUtf8::kRefuse;
    options.columns.header = form & 16 ? Header::kNone : Header::kExpected;
    options.columns.text_pair_need = static_cast<Need>((form >> 5) % 3);
    options.columns.label_need = form & 128 ? Need::kRequired : Need::kIgnored;
    options.columns.text = kGiven[roles & 7];
    options.columns.text_pair = kGiven[roles >> 3 & 7];
    if (form & 128) options.columns.label = kGiven[roles >> 6];
    if (roles >= 240) options.columns.layout = layouts()[roles % layouts().size()].name;
    bytes = input.rest();
  }

  std::unique_ptr<TableReader> table(size_t step = SIZE_MAX) const {
    return std::make_unique<TableReader>(std::make_unique<MemoryBytes>(bytes, step), "input", options.table);
  }
};

}  // namespace cloze::fuzz
