#include "cloze/text/wordpiece_trainer.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "cloze/base/error.h"
#include "cloze/text/pair_table.h"
#include "cloze/text/utf8_step.h"
#include "cloze/text/wordpiece_alphabet.h"

namespace cloze {
namespace {

constexpr int64_t kSpecials = 5;
constexpr double kLeastCoverage = 0.95;

/// The words as symbols, and the merging of them. A symbol is an index into pieces().
class Merger {
 public:
  Merger(std::span<const WordCount> words, const Alphabet& alphabet, int64_t min_frequency)
      : pieces_(alphabet.pieces()), min_frequency_(min_frequency) {
    for (size_t i = 0; i < pieces_.size(); ++i) symbol_of_.emplace(pieces_[i], static_cast<int32_t>(i));
    for (const WordCount& word : words) add_word(word, alphabet);
    words_.shrink_to_fit();
    symbols_.shrink_to_fit();
    for (const PairTable::Pair& pair : pairs_.pairs()) push(pair);
  }

  const std::vector<std::string>& pieces() const { return pieces_; }
  /// Occurrences of words whose characters are all in the alphabet, and of all words.
  int64_t known_words() const { return known_words_; }
  int64_t all_words() const { return all_words_; }

  /// Merges one pair everywhere; false when none is left that is frequent enough.
  bool merge_next() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      PairTable::Pair& pair = pairs_.at(top.key);
      if (pair.count < top.count) push(pair);  // it has become rarer since
      if (pair.count != top.count) continue;   // more frequent: then it stands further up a second time
      const std::vector<uint32_t> words = std::move(pair.words);
      pair.words = {};
      pair.count = 0;
      merge(top.key, words);
      return true;
    }
    return false;
  }

 private:
  struct Word {
    uint32_t begin;  ///< in symbols_
    uint32_t length;
    int64_t count;
  };
  struct Candidate {
    int64_t count;
    uint64_t key;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : key > other.key;
    }
  };

  /// Words of one character have nothing to merge and are not kept.
  void add_word(const WordCount& word, const Alphabet& alphabet) {
    all_words_ += word.count;
    const size_t begin = symbols_.size();
    for (size_t at = 0; at < word.word.size();) {
      const Utf8Step step = decode_step(word.word, at);
      const int32_t symbol = at == 0 ? alphabet.beginning(step.code_point) : alphabet.continuation(step.code_point);
      if (symbol < 0) return symbols_.resize(begin);
      symbols_.push_back(symbol);
      at += static_cast<size_t>(step.length_bytes);
    }
    known_words_ += word.count;
    const size_t length = symbols_.size() - begin;
    if (length < 2) return symbols_.resize(begin);
    CLOZE_CHECK(symbols_.size() <= UINT32_MAX, ErrorCode::kUnsupported,
                "the distinct words of the corpus have more than 4 billion characters");
    const uint32_t index = static_cast<uint32_t>(words_.size());
    words_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(length), word.count});
    for (size_t i = begin; i + 1 < symbols_.size(); ++i) count_pair(symbols_[i], symbols_[i + 1], word.count, index);
  }

  PairTable::Pair& count_pair(int32_t left, int32_t right, int64_t count, uint32_t word) {
    PairTable::Pair& pair = pairs_.at(pair_key(left, right));
    pair.count += count;
    if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
    return pair;
  }

  void push(const PairTable::Pair& pair) {
    if (pair.count >= min_frequency_) queue_.push({pair.count, pair.key});
  }

  /// Different pairs may make the same piece ("un" "##til", "u" "##ntil"): then it keeps its symbol.
  int32_t joined(int32_t left, int32_t right) {
    const std::string text = pieces_[static_cast<size_t>(left)] + pieces_[static_cast<size_t>(right)].substr(2);
    const auto [at, is_new] = symbol_of_.emplace(text, static_cast<int32_t>(pieces_.size()));
    if (is_new) pieces_.push_back(text);
    return at->second;
  }

  void merge(uint64_t key, const std::vector<uint32_t>& words) {
    const int32_t left = static_cast<int32_t>(key >> 32), right = static_cast<int32_t>(key & 0xFFFFFFFF);
    const int32_t whole = joined(left, right);
    grown_.clear();
    for (const uint32_t index : words) merge_in_word(index, left, right, whole);
    // Counts only grow for pairs with `whole`; all others in the queue stand at or above their place.
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const uint64_t pair : grown_) push(pairs_.at(pair));
    pairs_.at(key).count = 0;  // "aaa": neighbours of the merged places were of the same pair
  }

  void merge_in_word(uint32_t index, int32_t left, int32_t right, int32_t whole) {
    Word& word = words_[index];
    int32_t* const s = symbols_.data() + word.begin;
    uint32_t out = 0;
    for (uint32_t i = 0; i < word.length; ++i) {
      if (s[i] != left || i + 1 == word.length || s[i + 1] != right) {
        s[out++] = s[i];
        continue;
      }
      if (out > 0) replace_pair({s[out - 1], left}, {s[out - 1], whole}, word.count, index);
      if (i + 2 < word.length) replace_pair({right, s[i + 2]}, {whole, s[i + 2]}, word.count, index);
      s[out++] = whole;
      ++i;
    }
    word.length = out;
  }

  void replace_pair(std::pair<int32_t, int32_t> from, std::pair<int32_t, int32_t> to, int64_t count, uint32_t index) {
    pairs_.at(pair_key(from.first, from.second)).count -= count;
    count_pair(to.first, to.second, count, index);
    grown_.push_back(pair_key(to.first, to.second));
  }

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, int32_t> symbol_of_;
  std::vector<Word> words_;
  std::vector<int32_t> symbols_;
  PairTable pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<uint64_t> grown_;
  int64_t min_frequency_, known_words_ = 0, all_words_ = 0;
};

std::vector<std::string> special_pieces(int64_t unused) {
  std::vector<std::string> pieces = {"[PAD]"};
  for (int64_t i = 0; i < unused; ++i) pieces.push_back(fmt::format("[unused{}]", i));
  for (const char* name : {"[UNK]", "[CLS]", "[SEP]", "[MASK]"}) pieces.emplace_back(name);
  return pieces;
}

void check_options(std::span<const WordCount> words, const WordPieceTrainerOptions& options) {
  CLOZE_CHECK(!words.empty(), ErrorCode::kValue, "the corpus is empty: it has no word to train a vocabulary on");
  CLOZE_CHECK(options.min_frequency >= 1, ErrorCode::kValue, "the least frequency must be at least 1, got {}",
              options.min_frequency);
  CLOZE_CHECK(options.unused >= 0 && options.unused <= 1'000'000, ErrorCode::kValue,
              "the number of unused tokens must be 0 to 1,000,000, got {}", options.unused);
  CLOZE_CHECK(options.alphabet_limit >= 0, ErrorCode::kValue,
              "the limit of single characters must be 0 (choose) or more, got {}", options.alphabet_limit);
  CLOZE_CHECK(options.size <= 10'000'000, ErrorCode::kValue, "the size must be at most 10,000,000, got {}",
              options.size);
}

}  // namespace

TrainedVocabulary train_wordpiece(std::span<const WordCount> words, const WordPieceTrainerOptions& options) {
  check_options(words, options);
  Alphabet alphabet(words);
  const int64_t room = options.size - kSpecials - options.unused, least = alphabet.forms_for(kLeastCoverage);
  CLOZE_CHECK(
      room >= least, ErrorCode::kValue,
      "a vocabulary of {} entries leaves {} beside {} special and unused tokens, but the single characters that "
      "make up 95 % of the text are {}; give a size of at least {}",
      options.size, std::max<int64_t>(room, 0), kSpecials + options.unused, least, least + kSpecials + options.unused);
  const int64_t limit =
      options.alphabet_limit > 0 ? options.alphabet_limit : std::max<int64_t>(256, options.size / 5 * 2);
  alphabet.choose(options.min_frequency, std::min(room, limit));

  TrainedVocabulary result;
  result.characters = static_cast<int64_t>(alphabet.pieces().size());
  result.left_out_characters = alphabet.left_out();
  result.character_coverage = alphabet.coverage();
  Merger merger(words, alphabet, options.min_frequency);
  const auto made = [&] { return static_cast<int64_t>(merger.pieces().size()); };
  while (made() < room && merger.merge_next())
    if (options.progress) options.progress(options.size - room + made(), options.size);
  result.merges = made() - result.characters;
  result.word_coverage = static_cast<double>(merger.known_words()) / static_cast<double>(merger.all_words());
  result.pieces = special_pieces(options.unused);
  result.pieces.insert(result.pieces.end(), merger.pieces().begin(), merger.pieces().end());
  return result;
}

}  // namespace cloze
