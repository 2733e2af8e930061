#include <chrono>

#include "cloze/base/atomic_folder.h"
#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/vocab.h"
#include "cloze/text/tokenizer.h"
#include "cloze/text/wordpiece_trainer.h"

namespace cloze::cli {
namespace {

struct VocabTrainArguments {
  std::vector<std::string> corpus;
  std::string output;
  WordPieceTrainerOptions trainer;
  bool cased = false;
  ThreadsOption threads;
};

bool is_single_file(const Path& output) {
  return output.extension() == ".txt";
}

/// Another vocabulary would make the weights of a model worthless.
void check_output(const Path& output) {
  std::error_code ignored;
  if (is_single_file(output) && !std::filesystem::exists(output, ignored)) return;
  const Path folder = is_single_file(output) ? std::filesystem::absolute(output, ignored).parent_path() : output;
  for (const char* name : {"config.json", "model.safetensors", "pytorch_model.bin"})
    CLOZE_CHECK(!std::filesystem::exists(folder / name, ignored) ||
                    (is_single_file(output) && name == std::string_view("config.json")),
                ErrorCode::kUsage,
                "--output {} holds a model ({}), which another vocabulary would spoil; give another folder",
                output.string(), name);
}

TrainedVocabulary train(const VocabTrainArguments& options, const CorpusCounts& counts) {
  Progress progress;
  WordPieceTrainerOptions trainer = options.trainer;
  trainer.progress = [&](int64_t done, int64_t size) { progress.update(done, size, "entries"); };
  TrainedVocabulary result = train_wordpiece(counts.words, trainer);
  progress.clear();
  if (result.left_out_characters > 0)
    say(fmt::format("note: the {} rarest single characters found no room (see --alphabet-limit)",
                    grouped(result.left_out_characters)));
  if (static_cast<int64_t>(result.pieces.size()) < trainer.size)
    say(fmt::format("note: {} entries instead of {}: no further pair is seen {} times",
                    grouped(static_cast<int64_t>(result.pieces.size())), grouped(trainer.size), trainer.min_frequency));
  return result;
}

void save(const VocabTrainArguments& options, const TrainedVocabulary& trained) {
  Vocabulary vocabulary(trained.pieces);
  if (is_single_file(options.output)) return vocabulary.save(options.output);
  TokenizerOptions tokenizer;
  tokenizer.normalizer.lowercase = !options.cased;
  const Tokenizer trained_tokenizer = Tokenizer::from_vocabulary(std::move(vocabulary), std::move(tokenizer));
  if (std::filesystem::exists(options.output)) return trained_tokenizer.save(options.output);
  AtomicFolder folder(options.output);
  trained_tokenizer.save(folder.path());
  folder.commit();
}

void run_vocab_train(const VocabTrainArguments& options) {
  options.threads.apply();
  check_output(options.output);
  const auto begin = std::chrono::steady_clock::now();
  WordCountOptions counting;
  counting.normalizer.lowercase = !options.cased;
  const CorpusCounts counts = count_corpus(options.corpus, counting);
  const TrainedVocabulary trained = train(options, counts);
  save(options, trained);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  say(fmt::format(
      "{}: {} entries ({} single characters, {} merges); {:.3f} % of characters and {:.3f} % of words can "
      "be written; {}",
      options.output, grouped(static_cast<int64_t>(trained.pieces.size())), grouped(trained.characters),
      grouped(trained.merges), trained.character_coverage * 100, trained.word_coverage * 100, clock_text(seconds)));
  JsonLine line;
  line.begin_object().member("vocab", options.output);
  line.member("size", static_cast<int64_t>(trained.pieces.size()));
  line.member("characters", trained.characters).member("merges", trained.merges);
  line.member("left_out_characters", trained.left_out_characters);
  line.member("bytes", counts.bytes).member("lines", counts.lines).member("words", counts.total_words);
  line.member("distinct_words", static_cast<int64_t>(counts.words.size()));
  line.member("forgotten_words", counts.forgotten_words).member("long_words", counts.long_words);
  line.member("replaced_sequences", counts.replaced_sequences);
  line.member("character_coverage", trained.character_coverage).member("word_coverage", trained.word_coverage);
  line.member("seconds", seconds);
  write_out(line.end_object().take() + "\n");
  flush_out();
}

}  // namespace

std::function<void()> setup_vocab_train(CLI::App& app) {
  auto options = std::make_shared<VocabTrainArguments>();
  app.add_option("--corpus", options->corpus, "text files, plain or .gz; - is stdin")->required();
  app.add_option("--output", options->output,
                 "folder for vocab.txt and the tokenizer's files, or a name ending in .txt")
      ->required();
  WordPieceTrainerOptions& trainer = options->trainer;
  app.add_option("--size", trainer.size, "entries, special tokens included")->capture_default_str();
  app.add_option("--min-frequency", trainer.min_frequency, "characters and pairs seen less often are left out")
      ->capture_default_str();
  app.add_option("--unused", trainer.unused, "places [unused0], [unused1], ... for words of later")
      ->capture_default_str();
  app.add_option("--alphabet-limit", trainer.alphabet_limit,
                 "most single characters, the frequent ones first; 0: 40 % of --size, at least 256")
      ->capture_default_str();
  app.add_flag("--cased", options->cased, "keep capital letters and accents");
  options->threads.add(app);
  return [options] { run_vocab_train(*options); };
}

}  // namespace cloze::cli
