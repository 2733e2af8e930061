#include "cloze/text/vocabulary_report.h"

#include <algorithm>

#include "cloze/base/utf8.h"
#include "cloze/text/char_class.h"
#include "cloze/text/word_pieces.h"

namespace cloze {
namespace {

/// Entries in brackets ("[CLS]", "[unused7]") cannot come from words: a bracket is a word of its own.
bool is_reserved(std::string_view piece) {
  return piece.size() > 2 && piece.front() == '[' && piece.back() == ']';
}

}  // namespace

void CoverageCounts::add(const CoverageCounts& other) {
  words += other.words;
  characters += other.characters;
  pieces += other.pieces;
  unknown_words += other.unknown_words;
  unknown_characters += other.unknown_characters;
}

VocabularyReport report_vocabulary(const Tokenizer& tokenizer, const CorpusCounts& counts, size_t most_unknown) {
  VocabularyReport report;
  WordPieces pieces(tokenizer);
  std::vector<bool> used(static_cast<size_t>(tokenizer.vocabulary().size()), false);
  std::vector<const WordCount*> unknown;
  for (const WordCount& word : counts.words) {
    const std::vector<int32_t>& ids = pieces.of(word.word);
    const int64_t characters = count_code_points(word.word) * word.count;
    CoverageCounts& part = is_chinese_char(decode_utf8(word.word, 0).code_point) ? report.chinese : report.other;
    part.words += word.count;
    part.characters += characters;
    part.pieces += static_cast<int64_t>(ids.size()) * word.count;
    if (pieces.is_unknown(ids)) {
      part.unknown_words += word.count;
      part.unknown_characters += characters;
      unknown.push_back(&word);
    } else {
      for (const int32_t id : ids) used[static_cast<size_t>(id)] = true;
    }
  }
  report.other.add({counts.long_words, 0, counts.long_words, counts.long_words, 0});
  report.all.add(report.chinese);
  report.all.add(report.other);

  // The words stand in the order of their bytes, which a stable sort keeps among equals.
  std::stable_sort(unknown.begin(), unknown.end(),
                   [](const WordCount* a, const WordCount* b) { return a->count > b->count; });
  report.distinct_unknown = static_cast<int64_t>(unknown.size());
  unknown.resize(std::min(unknown.size(), most_unknown));
  for (const WordCount* word : unknown) report.unknown.emplace_back(word->word, word->count);

  const Vocabulary& vocabulary = tokenizer.vocabulary();
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view piece = vocabulary.piece(id);
    if (piece.empty() || is_reserved(piece) || id == vocabulary.unk_id() || vocabulary.id(piece) != id) continue;
    ++report.entries;
    if (!used[static_cast<size_t>(id)]) ++report.never_used;
  }
  return report;
}

}  // namespace cloze
