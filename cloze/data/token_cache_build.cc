#include "cloze/data/token_cache_build.h"

#include <algorithm>
#include <atomic>

#include "cloze/base/thread_team.h"
#include "cloze/base/utf8.h"
#include "cloze/data/breaks.h"
#include "cloze/text/char_class.h"

namespace cloze {
namespace {

/// Parts of documents that are tokenized together.
constexpr size_t kBatchBytes = size_t{4} << 20;

/// Tokenizes lines; one a thread.
class LineEncoder {
 public:
  LineEncoder(const Tokenizer& tokenizer, const std::vector<bool>& begins_word, bool chinese_words)
      : tokenizer_(tokenizer),
        begins_word_(begins_word),
        chinese_words_(chinese_words),
        sentences_(TextBreaker::Unit::kSentence),
        words_(TextBreaker::Unit::kWord) {}

  void append(std::string_view line, std::vector<uint32_t>& out) {
    int32_t begin = 0;
    for (const int32_t end : sentences_.borders(line)) {
      append_sentence(line.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), out);
      begin = end;
    }
  }

 private:
  static constexpr EncodeOptions kPlain = {.special_tokens = SpecialTokens::kNone, .truncation = {}};

  void append_sentence(std::string_view sentence, std::vector<uint32_t>& out) {
    const size_t before = out.size();
    if (chinese_words_ && has_chinese_pair(sentence)) {
      append_chinese(sentence, out);
    } else {
      ids_.clear();
      tokenizer_.encode_ids(sentence, ids_, kPlain);
      for (const int32_t id : ids_) out.push_back(flagged(id));
    }
    if (out.size() == before) return;
    out[before] |= CachedToken::kBeginsWord;
    out.back() |= CachedToken::kEndsSentence;
  }

  uint32_t flagged(int32_t id) const {
    const size_t index = static_cast<size_t>(id);
    return static_cast<uint32_t>(id) | (begins_word_[index] ? CachedToken::kBeginsWord : 0);
  }

  /// Whether two Chinese characters stand side by side: only then can they be one word. The common ones take 3 bytes.
  static bool has_chinese_pair(std::string_view text) {
    bool previous = false;
    for (size_t at = 0; at < text.size();) {
      if (static_cast<unsigned char>(text[at]) < 0xE3) {
        previous = false;
        ++at;
        continue;
      }
      const Utf8Step step = decode_utf8(text, at);
      const bool now = is_chinese_char(step.code_point);
      if (now && previous) return true;
      previous = now;
      at += static_cast<size_t>(step.length_bytes);
    }
    return false;
  }

  /// A token begins a word where ICU's word begins; within a word of other scripts, where the tokenizer's does.
  void append_chinese(std::string_view sentence, std::vector<uint32_t>& out) {
    const Encoding encoding = tokenizer_.encode(sentence, kPlain);
    const std::vector<int32_t>& borders = words_.borders(sentence);
    size_t next = 0;
    for (size_t i = 0; i < encoding.ids.size(); ++i) {
      uint32_t token = flagged(encoding.ids[i]);
      const int32_t at = encoding.byte_offsets[i].begin;
      while (next < borders.size() && borders[next] < at) ++next;
      const bool border = at == 0 || (next < borders.size() && borders[next] == at);
      if (!border && is_chinese_char(decode_utf8(sentence, static_cast<size_t>(at)).code_point))
        token &= ~CachedToken::kBeginsWord;
      out.push_back(token);
    }
  }

  const Tokenizer& tokenizer_;
  const std::vector<bool>& begins_word_;
  bool chinese_words_;
  TextBreaker sentences_, words_;
  std::vector<int32_t> ids_;
};

std::vector<uint32_t> encode_part(const DocumentPart& part, LineEncoder& encoder) {
  std::vector<uint32_t> tokens;
  tokens.reserve(part.text.size() / 2);
  size_t begin = 0;
  for (const size_t end : part.line_ends) {
    encoder.append(std::string_view(part.text).substr(begin, end - begin), tokens);
    begin = end;
  }
  return tokens;
}

/// Which ids begin a word: all but those with the prefix of continuing pieces.
std::vector<bool> word_beginnings(const Tokenizer& tokenizer) {
  std::vector<bool> begins(static_cast<size_t>(tokenizer.size()));
  const std::string& prefix = tokenizer.options().continuing_prefix;
  for (size_t id = 0; id < begins.size(); ++id)
    begins[id] = prefix.empty() || !tokenizer.token(static_cast<int32_t>(id)).starts_with(prefix);
  return begins;
}

class Builder {
 public:
  Builder(const Tokenizer& tokenizer, const TokenCacheOptions& options,
          const std::function<void(std::span<const uint32_t>)>& write)
      : begins_word_(word_beginnings(tokenizer)),
        unknown_(static_cast<uint32_t>(tokenizer.vocabulary().unk_id())),
        write_(write) {
    for (int i = 0; i < thread_team().size(); ++i)
      encoders_.emplace_back(tokenizer, begins_word_, options.chinese_words);
  }

  /// Tokenizes the parts on all threads and writes them in order.
  void put(const std::vector<DocumentPart>& parts) {
    std::vector<std::vector<uint32_t>> tokens(parts.size());
    std::atomic<size_t> next{0};
    thread_team().run([&](int worker, int) {
      for (size_t i = next++; i < parts.size(); i = next++)
        tokens[i] = encode_part(parts[i], encoders_[static_cast<size_t>(worker)]);
    });
    for (size_t i = 0; i < parts.size(); ++i) put(tokens[i], parts[i].ends);
  }

  void finish() {
    if (open_) end_document();
    flush(tokens_.size());
  }
  TokenCacheCounts counts;

 private:
  /// The last token stays here until the next comes, because its end may turn out to be the document's.
  void put(const std::vector<uint32_t>& tokens, bool ends) {
    for (const uint32_t token : tokens) {
      counts.sentences += (token & CachedToken::kEndsSentence) != 0 ? 1 : 0;
      counts.unknown += (token & CachedToken::kId) == unknown_ ? 1 : 0;
    }
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    open_ = open_ || !tokens.empty();
    if (ends && open_) end_document();
    constexpr size_t kEnough = size_t{1} << 18;
    if (tokens_.size() > kEnough) flush(tokens_.size() - 1);
  }
  void end_document() {
    tokens_.back() |= CachedToken::kEndsDocument;
    ++counts.documents;
    open_ = false;
  }
  void flush(size_t count) {
    counts.tokens += static_cast<int64_t>(count);
    write_(std::span(tokens_).first(count));
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  std::vector<bool> begins_word_;
  uint32_t unknown_;
  std::vector<LineEncoder> encoders_;
  std::vector<uint32_t> tokens_;  ///< not written yet
  bool open_ = false;             ///< whether a document with a token has not ended
  const std::function<void(std::span<const uint32_t>)>& write_;
};

}  // namespace

TokenCacheCounts tokenize_corpus(const Path& corpus, const Tokenizer& tokenizer, const TokenCacheOptions& options,
                                 const CacheProgress& progress,
                                 const std::function<void(std::span<const uint32_t>)>& write) {
  CorpusReader reader(corpus, options.form);
  Builder builder(tokenizer, options, write);
  std::vector<DocumentPart> parts;
  size_t bytes = 0;
  const size_t enough = kBatchBytes * static_cast<size_t>(thread_team().size());
  while (std::optional<DocumentPart> part = reader.next()) {
    bytes += part->text.size();
    parts.push_back(std::move(*part));
    if (bytes < enough) continue;
    builder.put(parts);
    parts.clear();
    bytes = 0;
    if (progress) progress(reader.bytes());
  }
  builder.put(parts);
  builder.finish();
  builder.counts.bytes = reader.bytes();
  builder.counts.replaced = reader.replaced();
  return builder.counts;
}

}  // namespace cloze
