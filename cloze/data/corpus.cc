#include "cloze/data/corpus.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

bool is_blank(std::string_view line) {
  return std::ranges::all_of(line, [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
}

}  // namespace

DocumentForm parse_document_form(const std::string& name) {
  if (name == "blank-line") return DocumentForm::kBlankLine;
  if (name == "line") return DocumentForm::kLine;
  fail(ErrorCode::kUsage, "--documents must be blank-line or line, got \"{}\"{}", name,
       did_you_mean(name, {"blank-line", "line"}));
}

CorpusReader::CorpusReader(const Path& path, DocumentForm form) : path_(path), form_(form), lines_(path) {}

void CorpusReader::add_line(std::string_view line, DocumentPart& part) {
  CLOZE_CHECK(line.find('\0') == std::string_view::npos, ErrorCode::kFormat,
              "{} line {}: a NUL byte; a corpus is text in UTF-8", path_.string(), lines_.line_number());
  if (find_invalid_utf8(line) == std::string_view::npos) {
    part.text += line;
  } else {
    part.text += replace_invalid_utf8(line, replaced_);
    constexpr int64_t kTolerated = 100, kBytesPerInvalid = 1000;
    CLOZE_CHECK(replaced_ <= kTolerated + bytes_ / kBytesPerInvalid, ErrorCode::kFormat,
                "{} line {}: {} sequences so far are not UTF-8; a corpus is text in UTF-8 (iconv -f GB18030 -t UTF-8 "
                "converts Chinese files of old)",
                path_.string(), lines_.line_number(), replaced_);
  }
  part.line_ends.push_back(part.text.size());
}

std::optional<DocumentPart> CorpusReader::next() {
  DocumentPart part;
  while (const std::optional<std::string_view> line = lines_.next()) {
    bytes_ += static_cast<int64_t>(line->size()) + 1;
    if (is_blank(*line)) {
      if (form_ == DocumentForm::kBlankLine && !part.line_ends.empty()) return part;
      continue;
    }
    add_line(*line, part);
    if (form_ == DocumentForm::kLine) return part;
    if (part.text.size() >= kPartBytes) {
      part.ends = false;
      return part;
    }
  }
  if (part.line_ends.empty()) return std::nullopt;
  return part;
}

}  // namespace cloze
