#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/vocab.h"
#include "cloze/text/vocabulary_report.h"

namespace cloze::cli {
namespace {

struct VocabReportArguments {
  std::string vocab;
  std::vector<std::string> input;
  bool cased = false;
  ThreadsOption threads;
};

Tokenizer load(const VocabReportArguments& options) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(options.vocab, ignored)) {
    CLOZE_CHECK(!options.cased, ErrorCode::kUsage,
                "--cased is for a single vocab.txt; the folder {} says itself what its tokenizer does", options.vocab);
    return Tokenizer::load(options.vocab);
  }
  TokenizerOptions tokenizer;
  tokenizer.normalizer.lowercase = !options.cased;
  return Tokenizer::from_vocabulary(Vocabulary::load(options.vocab), std::move(tokenizer));
}

std::string table(const VocabularyReport& report) {
  std::string text = fmt::format("{:<8} {:>14} {:>14} {:>12} {:>9} {:>12} {:>13} {:>13}\n", "", "words", "characters",
                                 "unknown", "of words", "of characters", "pieces/word", "pieces/char");
  const auto row = [&](const char* name, const CoverageCounts& part) {
    text += fmt::format("{:<8} {:>14} {:>14} {:>12} {:>7.3f} % {:>10.3f} % {:>13.3f} {:>13.3f}\n", name,
                        grouped(part.words), grouped(part.characters), grouped(part.unknown_words),
                        part.unknown_word_rate() * 100, part.unknown_character_rate() * 100, part.pieces_per_word(),
                        part.pieces_per_character());
  };
  row("Chinese", report.chinese);
  row("other", report.other);
  row("all", report.all);
  text += fmt::format("{} of {} entries are never used here\n", grouped(report.never_used), grouped(report.entries));
  if (!report.unknown.empty())
    text += fmt::format("{} distinct unknown words; most frequent:", grouped(report.distinct_unknown));
  for (const auto& [word, count] : report.unknown) text += fmt::format(" {} ({})", word, grouped(count));
  if (!text.ends_with('\n')) text += '\n';
  text.pop_back();
  return text;
}

void put_part(JsonLine& line, const char* name, const CoverageCounts& part) {
  line.key(name).begin_object().member("words", part.words).member("characters", part.characters);
  line.member("pieces", part.pieces).member("unknown_words", part.unknown_words);
  line.member("unknown_word_rate", part.unknown_word_rate());
  line.member("unknown_character_rate", part.unknown_character_rate());
  line.member("pieces_per_word", part.pieces_per_word());
  line.member("pieces_per_character", part.pieces_per_character()).end_object();
}

void write_report(const VocabReportArguments& options, const CorpusCounts& counts, const VocabularyReport& report) {
  JsonLine line;
  line.begin_object().member("vocab", options.vocab).member("bytes", counts.bytes).member("lines", counts.lines);
  put_part(line, "all", report.all);
  put_part(line, "chinese", report.chinese);
  put_part(line, "other", report.other);
  line.member("distinct_unknown", report.distinct_unknown).key("top_unknown").begin_array();
  for (const auto& [word, count] : report.unknown)
    line.begin_object().member("word", word).member("count", count).end_object();
  line.end_array().member("entries", report.entries).member("never_used", report.never_used);
  const double share = report.entries == 0 ? 0 : static_cast<double>(report.never_used) / double(report.entries);
  line.member("never_used_share", share).member("forgotten_words", counts.forgotten_words);
  line.member("replaced_sequences", counts.replaced_sequences);
  write_out(line.end_object().take() + "\n");
  flush_out();
}

void run_vocab_report(const VocabReportArguments& options) {
  options.threads.apply();
  const Tokenizer tokenizer = load(options);
  WordCountOptions counting;
  counting.normalizer = tokenizer.options().normalizer;
  counting.max_chars_per_word = tokenizer.options().max_chars_per_word;
  const CorpusCounts counts = count_corpus(options.input, counting);
  const VocabularyReport report = report_vocabulary(tokenizer, counts);
  say(table(report));
  write_report(options, counts, report);
}

}  // namespace

std::function<void()> setup_vocab_report(CLI::App& app) {
  auto options = std::make_shared<VocabReportArguments>();
  app.add_option("--vocab", options->vocab, "vocab.txt, or a folder with a tokenizer's files")->required();
  app.add_option("--input", options->input, "text files, plain or .gz; - is stdin")->required();
  app.add_flag("--cased", options->cased, "of a vocab.txt: keep capital letters and accents");
  options->threads.add(app);
  return [options] { run_vocab_report(*options); };
}

}  // namespace cloze::cli
