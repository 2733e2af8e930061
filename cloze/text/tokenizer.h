// Tokenizer: text to token ids as BERT was trained on, the same ids and offsets as Hugging Face `tokenizers` gives.
//
//   text ─ added tokens ("[MASK]") ─▶ parts ─ clean, lower, strip accents ─▶ characters ─ spaces, punctuation,
//   Chinese ─▶ words ─ WordPiece ─▶ pieces ─ truncate, [CLS] … [SEP] ─▶ Encoding
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/text/added_tokens.h"
#include "cloze/text/char_map.h"
#include "cloze/text/truncation.h"
#include "cloze/text/vocabulary.h"

namespace cloze {

struct TokenizerOptions {
  NormalizerOptions normalizer = {};
  std::string continuing_prefix = "##";  ///< how pieces inside words begin in the vocabulary
  int64_t max_chars_per_word = 100;      ///< longer words become unk
  /// Tokens found in the text before everything else. Absent: the special tokens that the vocabulary has. An id of -1
  /// means: the vocabulary's, or the next free one behind it.
  std::optional<std::vector<AddedToken>> added_tokens = std::nullopt;
  std::optional<int64_t> model_max_length =
      std::nullopt;  ///< what the model can take; a note for the callers, never applied here
};

enum class SpecialTokens { kAdd, kNone };

struct EncodeOptions {
  SpecialTokens special_tokens = SpecialTokens::kAdd;
  Truncation truncation = {};
};

/// A range of a text, end excluded.
struct TextSpan {
  int32_t begin = 0, end = 0;
  bool operator==(const TextSpan&) const = default;
};

/// What happened on the way, for callers to report.
struct EncodeCounts {
  int64_t replaced_sequences = 0;  ///< invalid UTF-8 sequences that became U+FFFD
  int64_t dropped_tokens = 0;      ///< tokens cut off by truncation
};

/// All vectors have one entry a token. Offsets refer to the original text; of a pair, each to its own text; [CLS] and
/// [SEP] have [0,0]. Where the text was invalid UTF-8 (counts.replaced_sequences > 0) they refer to the text that
/// replace_invalid_utf8 (base/utf8.h) makes of it. A token that stands for part of a character covers all of it.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> segments;       ///< 0; 1 for the second text and its [SEP]
  std::vector<TextSpan> offsets;       ///< in code points
  std::vector<TextSpan> byte_offsets;  ///< in bytes
  std::vector<int32_t> words;          ///< number of the word within its text; -1 for [CLS] and [SEP]
  EncodeCounts counts;
};

/// Immutable; copies are cheap and share everything; all functions may run in many threads at once.
class Tokenizer {
 public:
  /// From a model directory: tokenizer.json if it is there, else vocab.txt; tokenizer_config.json adds the special
  /// tokens' names, model_max_length and, without tokenizer.json, the normalizer's switches.
  /// Truncation and padding that tokenizer.json may ask for are not applied: the caller decides.
  /// Errors: kNotFound, kIo; kFormat for broken content, missing special tokens, files that contradict each other;
  /// kUnsupported for valid content that is not BERT's (another model or normalizer), naming what was found.
  static Tokenizer load(const Path& directory);

  /// Errors: kFormat if added tokens are contradictory; kValue for max_chars_per_word below 0.
  static Tokenizer from_vocabulary(Vocabulary vocabulary, TokenizerOptions options = {});

  /// Writes vocab.txt, tokenizer_config.json and tokenizer.json, from which load() and Hugging Face make the same
  /// tokenizer. The folder is made if missing. Errors: kIo, kUnsupported (a piece with a line end).
  void save(const Path& directory) const;

  /// Tokens of one text, or of two. Texts may be any bytes up to 700 MB. Errors: kValue if longer; those of
  /// plan_truncation.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;

  /// Only the ids, appended to the caller's buffers: no allocation once these have grown. For a pair, `segments` grows
  /// alike. Same ids and errors as encode; after an error the buffers may hold a part of the new text.
  EncodeCounts encode_ids(std::string_view text, std::vector<int32_t>& ids, const EncodeOptions& options = {}) const;
  EncodeCounts encode_pair_ids(std::string_view first, std::string_view second, std::vector<int32_t>& ids,
                               std::vector<int32_t>& segments, const EncodeOptions& options = {}) const;

  const Vocabulary& vocabulary() const;
  const TokenizerOptions& options() const;
  /// In the order of their ids; all ids are set.
  const std::vector<AddedToken>& added_tokens() const;

  /// Number of ids, added tokens included: the rows that an embedding table needs.
  int64_t size() const;
  /// The text of an id of the vocabulary or an added token. Errors: kValue for an id outside 0 to size() - 1.
  std::string_view token(int32_t id) const;

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace cloze
