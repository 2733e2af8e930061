// Corpora: text files without labels, read document by document in constant memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

/// Where documents end.
enum class DocumentForm : uint8_t {
  kBlankLine,  ///< at lines of white space only (ASCII's and U+3000)
  kLine,       ///< at each line; blank lines are nothing
};

/// "blank-line" or "line". Errors: kUsage.
DocumentForm parse_document_form(const std::string& name);

/// A document, or, of one that has CorpusReader::kPartBytes or more, a part; the last one of such may be empty.
struct DocumentPart {
  std::string text;               ///< its lines, one after the other, without line ends; valid UTF-8
  std::vector<size_t> line_ends;  ///< offsets in `text`
  bool ends = true;               ///< whether the document ends here
};

class CorpusReader {
 public:
  static constexpr size_t kPartBytes = size_t{4} << 20;

  /// Errors: kNotFound, kIo.
  CorpusReader(const Path& path, DocumentForm form);
  /// The next part; nullopt at the end. Invalid UTF-8 becomes U+FFFD. Errors: kFormat for NUL bytes, and where more
  /// than a thousandth of the text (and 100 sequences) is not UTF-8: then the file is not text.
  std::optional<DocumentPart> next();

  int64_t bytes() const { return bytes_; }        ///< of text so far, line ends included
  int64_t replaced() const { return replaced_; }  ///< invalid sequences so far

 private:
  void add_line(std::string_view line, DocumentPart& part);

  Path path_;
  DocumentForm form_;
  LineReader lines_;
  int64_t bytes_ = 0, replaced_ = 0;
  bool open_ = false;  ///< whether the last part's document goes on
};

}  // namespace cloze
