#include "cloze/cli/vocab.h"

#include "cloze/base/error.h"
#include "cloze/cli/output.h"

namespace cloze::cli {
namespace {

constexpr Command kVocabCommands[] = {
    {"train", "a WordPiece vocabulary from texts", setup_vocab_train},
    {"report", "how well a vocabulary writes a text", setup_vocab_report},
    {"extend", "add words to a model's vocabulary", setup_vocab_extend},
};

}  // namespace

CorpusCounts count_corpus(const std::vector<std::string>& files, WordCountOptions options) {
  // How much is to come is not known: packed files do not say. A line for each quarter of a gigabyte.
  options.progress = [said = int64_t{0}](int64_t bytes) mutable {
    constexpr int64_t kStep = int64_t{256} << 20;
    if (bytes / kStep > said) say(fmt::format("{} MB of text counted", grouped((said = bytes / kStep) * 256)));
  };
  CorpusCounts counts = count_words(std::vector<Path>(files.begin(), files.end()), options);
  CLOZE_CHECK(!counts.words.empty(), ErrorCode::kFormat, "the corpus is empty: {} bytes of text without a word",
              counts.bytes);
  say(fmt::format("{} bytes, {} lines, {} words, {} distinct", grouped(counts.bytes), grouped(counts.lines),
                  grouped(counts.total_words), grouped(static_cast<int64_t>(counts.words.size()))));
  if (counts.replaced_sequences > 0)
    say(fmt::format("note: {} invalid UTF-8 sequences were replaced by U+FFFD", grouped(counts.replaced_sequences)));
  if (counts.long_words > 0)
    say(fmt::format("note: {} words of more than {} characters were left out: the tokenizer makes them [UNK]",
                    grouped(counts.long_words), options.max_chars_per_word));
  if (counts.forgotten_words > 0)
    say(fmt::format(
        "note: more than {} distinct words: words seen at most {} times were forgotten on the way, {} "
        "occurrences in all",
        grouped(static_cast<int64_t>(options.most_words)), counts.forgotten_floor, grouped(counts.forgotten_words)));
  return counts;
}

std::function<void()> setup_vocab(CLI::App& app) {
  app.require_subcommand(1);
  std::vector<std::pair<const CLI::App*, std::function<void()>>> work;
  for (const Command& command : kVocabCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    work.emplace_back(sub, command.setup(*sub));
  }
  return [work] {
    for (const auto& [sub, run] : work)
      if (sub->parsed()) run();
  };
}

}  // namespace cloze::cli
