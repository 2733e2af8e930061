#include <fmt/ranges.h>

#include "cloze/base/atomic_folder.h"
#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/vocab.h"
#include "cloze/io/grow_model.h"
#include "cloze/io/model_dir.h"
#include "cloze/text/tokenizer_json.h"
#include "cloze/text/vocabulary_extend.h"

namespace cloze::cli {
namespace {

struct VocabExtendArguments {
  std::string model, words, output;
  std::vector<std::string> corpus;
  int64_t count = 0;
  ThreadsOption threads;
};

void check_vocab_extend(const VocabExtendArguments& options) {
  CLOZE_CHECK(options.words.empty() != options.corpus.empty(), ErrorCode::kUsage,
              "give either --words FILE or --corpus FILE... with --count N");
  CLOZE_CHECK(options.corpus.empty() == (options.count == 0), ErrorCode::kUsage,
              "--corpus and --count belong together: the N most frequent words that the tokenizer splits");
}

NewWords find_words(const VocabExtendArguments& options, const Tokenizer& tokenizer) {
  if (!options.words.empty()) return read_new_words(tokenizer, options.words);
  WordCountOptions counting;
  counting.normalizer = tokenizer.options().normalizer;
  counting.max_chars_per_word = tokenizer.options().max_chars_per_word;
  return frequent_split_words(tokenizer, count_corpus(options.corpus, counting), options.count);
}

GrownModel write_model(const VocabExtendArguments& options, const Tokenizer& tokenizer, const NewWords& words) {
  const Tokenizer extended = extend_tokenizer(tokenizer, words.words);
  RowGrowth growth;
  growth.first_row = tokenizer.vocabulary().size();
  for (const NewWord& word : words.words) growth.sources.push_back(word.pieces);
  AtomicFolder folder(options.output);
  const std::vector<std::string> replaced = {ModelFiles::kVocab, ModelFiles::kTokenizer};
  GrownModel grown = grow_model(options.model, folder.path(), growth, replaced);
  extended.vocabulary().save(folder.path() / ModelFiles::kVocab);
  if (ModelFiles::open(options.model).has(ModelFiles::kTokenizer))
    write_file(folder.path() / ModelFiles::kTokenizer, write_tokenizer_json(extended));
  folder.commit();
  return grown;
}

void run_vocab_extend(const VocabExtendArguments& options) {
  options.threads.apply();
  check_vocab_extend(options);
  const ModelFiles files = ModelFiles::open(options.model);
  CLOZE_CHECK(files.has(ModelFiles::kVocab) || files.has(ModelFiles::kTokenizer), ErrorCode::kNotFound,
              "{} has no vocabulary: expected vocab.txt or tokenizer.json", options.model);
  CLOZE_CHECK(!std::filesystem::exists(options.output), ErrorCode::kUsage,
              "--output {} is there already; give a new folder, or remove it", options.output);
  const Tokenizer tokenizer = Tokenizer::load(options.model);
  const NewWords words = find_words(options, tokenizer);
  CLOZE_CHECK(!words.words.empty(), ErrorCode::kValue,
              "nothing to add: {} words are in the vocabulary already, and none is missing", words.known);
  const GrownModel grown = write_model(options, tokenizer, words);
  const int64_t added = static_cast<int64_t>(words.words.size()), size = tokenizer.vocabulary().size() + added;
  say(fmt::format("{}: {} words added, {} in the vocabulary already, {} repeated; {} entries, {} rows", options.output,
                  grouped(added), grouped(words.known), grouped(words.repeated), grouped(size), grouped(grown.rows)));
  say(fmt::format("grown: {}; each new row is the mean of its old pieces' rows", fmt::join(grown.tensors, ", ")));
  if (words.unknown > 0)
    say(fmt::format("note: {} of the words could not be written before; their rows start as that of {}",
                    grouped(words.unknown), tokenizer.vocabulary().names().unk));
  if (!grown.not_copied.empty())
    say(fmt::format("note: not copied, because it would not fit the new vocabulary or is a folder: {}",
                    fmt::join(grown.not_copied, ", ")));
  JsonLine line;
  line.begin_object().member("model", options.output).member("added", added).member("known", words.known);
  line.member("repeated", words.repeated).member("unknown", words.unknown).member("size", size);
  line.member("rows", grown.rows).key("tensors").begin_array();
  for (const std::string& name : grown.tensors) line.value(name);
  line.end_array().key("not_copied").begin_array();
  for (const std::string& name : grown.not_copied) line.value(name);
  write_out(line.end_array().end_object().take() + "\n");
  flush_out();
}

}  // namespace

std::function<void()> setup_vocab_extend(CLI::App& app) {
  auto options = std::make_shared<VocabExtendArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--words", options->words, "the words to add, one a line; - is stdin");
  app.add_option("--corpus", options->corpus, "text files: their most frequent words that the tokenizer splits");
  app.add_option("--count", options->count, "with --corpus: how many words to add");
  app.add_option("--output", options->output, "new model directory")->required();
  options->threads.add(app);
  return [options] { run_vocab_extend(*options); };
}

}  // namespace cloze::cli
