#include "cloze/data/corpus.h"

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

bool is_blank(std::string_view line) {
  constexpr std::string_view kWideSpace = "\u3000";  // with which Chinese texts indent
  for (size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (c == ' ' || (c >= '\t' && c <= '\r')) continue;
    if (line.substr(at, kWideSpace.size()) != kWideSpace) return false;
    at += kWideSpace.size() - 1;
  }
  return true;
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
      if (form_ == DocumentForm::kBlankLine && (open_ || !part.line_ends.empty())) {
        open_ = false;
        return part;
      }
      continue;
    }
    add_line(*line, part);
    if (form_ == DocumentForm::kLine) return part;
    if (part.text.size() >= kPartBytes) {
      part.ends = false;
      open_ = true;
      return part;
    }
  }
  if (!open_ && part.line_ends.empty()) return std::nullopt;
  open_ = false;
  return part;
}

}  // namespace cloze
