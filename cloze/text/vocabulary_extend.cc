#include "cloze/text/vocabulary_extend.h"

#include <algorithm>
#include <unordered_set>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"
#include "cloze/text/word_pieces.h"
#include "cloze/text/word_splitter.h"

namespace cloze {
namespace {

/// "covid - 19"
std::string spaced(const WordList& words) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(words.size(), 8); ++i) {
    if (i > 0) text += ' ';
    text += words[i];
  }
  if (words.size() > 8) text += " ...";
  return text;
}

/// The one word of a line. Errors: kFormat.
std::string_view only_word(const WordList& words, const Tokenizer& tokenizer, const std::string& where) {
  CLOZE_CHECK(
      words.size() == 1, ErrorCode::kFormat,
      "{}: expected one word, but the tokenizer splits this line into {} ({}), so that it would never find it as "
      "one entry; spaces, punctuation and Chinese characters part words",
      where, words.size(), spaced(words));
  const int64_t most = tokenizer.options().max_chars_per_word;
  CLOZE_CHECK(count_code_points(words[0]) <= most, ErrorCode::kFormat,
              "{}: the word has {} characters; the tokenizer knows no words of more than {}", where,
              count_code_points(words[0]), most);
  return words[0];
}

void add(std::string_view word, const std::vector<int32_t>& ids, bool unknown, NewWords& out) {
  out.words.push_back({std::string(word), ids});
  out.unknown += unknown ? 1 : 0;
}

}  // namespace

NewWords read_new_words(const Tokenizer& tokenizer, const Path& file) {
  const WordSplitter splitter(tokenizer.options().normalizer);
  const std::string name = file == "-" ? "standard input" : file.string();
  NewWords out;
  WordPieces pieces(tokenizer);
  std::unordered_set<std::string> seen;
  LineReader reader(file);
  WordList words;
  while (const auto line = reader.next()) {
    const std::string where = fmt::format("{} line {}", name, reader.line_number());
    words.clear();
    CLOZE_CHECK(splitter.append_words(*line, words), ErrorCode::kFormat, "{}: not valid UTF-8", where);
    if (words.size() == 0) continue;
    const std::string_view word = only_word(words, tokenizer, where);
    if (tokenizer.vocabulary().contains(word)) {
      ++out.known;
    } else if (!seen.emplace(word).second) {
      ++out.repeated;
    } else {
      const std::vector<int32_t>& ids = pieces.of(word);
      add(word, ids, pieces.is_unknown(ids), out);
    }
  }
  CLOZE_CHECK(!out.words.empty() || out.known > 0, ErrorCode::kFormat, "{} is empty: expected a word a line", name);
  return out;
}

NewWords frequent_split_words(const Tokenizer& tokenizer, const CorpusCounts& corpus, int64_t count) {
  CLOZE_CHECK(count > 0, ErrorCode::kValue, "the number of words to add must be at least 1, got {}", count);
  WordPieces pieces(tokenizer);
  std::vector<const WordCount*> split;
  for (const WordCount& word : corpus.words)
    if (!tokenizer.vocabulary().contains(word.word)) split.push_back(&word);
  std::stable_sort(split.begin(), split.end(),
                   [](const WordCount* a, const WordCount* b) { return a->count > b->count; });
  if (static_cast<int64_t>(split.size()) > count) split.resize(static_cast<size_t>(count));
  NewWords out;
  for (const WordCount* word : split) {
    const std::vector<int32_t>& ids = pieces.of(word->word);
    add(word->word, ids, pieces.is_unknown(ids), out);
  }
  return out;
}

Tokenizer extend_tokenizer(const Tokenizer& tokenizer, std::span<const NewWord> words) {
  const Vocabulary& old = tokenizer.vocabulary();
  CLOZE_CHECK(tokenizer.size() == old.size(), ErrorCode::kUnsupported,
              "the tokenizer has added tokens behind its vocabulary (\"{}\", id {}), on ids that the new entries would "
              "take; make them entries of vocab.txt first",
              tokenizer.token(static_cast<int32_t>(old.size())), old.size());
  std::vector<std::string> pieces;
  for (int32_t id = 0; id < old.size(); ++id) pieces.emplace_back(old.piece(id));
  for (const NewWord& word : words) pieces.push_back(word.word);
  return Tokenizer::from_vocabulary(Vocabulary(pieces, old.names()), tokenizer.options());
}

}  // namespace cloze
