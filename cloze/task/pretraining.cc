#include "cloze/task/pretraining.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "cloze/base/folder_lock.h"
#include "cloze/base/profile.h"
#include "cloze/model/checkpoint.h"
#include "cloze/model/pretraining_model.h"
#include "cloze/ops/ops.h"
#include "cloze/task/batches.h"
#include "cloze/task/pretraining_batch.h"
#include "cloze/task/pretraining_start.h"

namespace cloze {
namespace {

constexpr const char* kWithSentences = "BertForPreTraining";
constexpr const char* kMaskedWords = "BertForMaskedLM";

/// Sums of one kind of prediction.
struct Score {
  double rows = 0, loss = 0, correct = 0;
  double mean_loss() const { return rows > 0 ? loss / rows : std::nan(""); }
  double accuracy() const { return rows > 0 ? correct / rows : std::nan(""); }
  void add(const Score& part) {
    rows += part.rows;
    loss += part.loss;
    correct += part.correct;
  }
};

/// Of some held-out rows.
struct HeldoutScore {
  Score words, sentences;
  size_t rows = 0;
  void add(const HeldoutScore& part) {
    words.add(part.words);
    sentences.add(part.sentences);
    rows += part.rows;
  }
};

/// Sums over labels[B] of the losses, and how many were right.
void add_sentences(const Tensor& logits, const Tensor& labels, Score& score) {
  const Tensor p = softmax(logits);
  for (int64_t b = 0; b < labels.elements(); ++b) {
    const int32_t label = labels.data<int32_t>()[b];
    const float* both = p.data<float>() + 2 * b;
    score.rows += 1;
    score.loss -= std::log(std::max(static_cast<double>(both[label]), 1e-30));
    score.correct += both[label] > both[1 - label] ? 1 : 0;
  }
}

void add_masked(const LossStatistics& statistics, Score& score) {
  score.rows += static_cast<double>(statistics.rows);
  score.loss += statistics.loss_sum;
  score.correct += static_cast<double>(statistics.right);
}

Tokenizer tokenizer_of(const PretrainingOptions& options) {
  if (!options.model.empty()) return Tokenizer::load(options.model);
  TrainingSource source;
  source.vocab = options.vocab;
  source.cased = options.cased;
  return scratch_tokenizer(source);
}

/// A file name for a corpus's cache that no other corpus of the run has.
std::string cache_name(const Path& corpus) {
  constexpr size_t kMostBytes = 100;  // of a name that may be as long as the system allows
  const std::string name = corpus.filename().string().substr(0, kMostBytes);
  uint32_t hash = 2166136261u;
  std::error_code ignored;
  for (const char c : std::filesystem::absolute(corpus, ignored).string())
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return fmt::format("{}-{:08x}.tokens", name, hash);
}

class Pretraining : public TrainingTask {
 public:
  Pretraining(const PretrainingOptions& options, const PretrainingProgress& progress)
      : options_(options), tokenizer_(tokenizer_of(options)), masker_(tokenizer_, options.masking) {
    make_config();
    make_model();  // before the corpora are tokenized, which may take long and be in vain
    find_teacher();
    open_rows(progress);
    if (options_.model.empty()) start_from_scratch();
    summarise();
  }

  ParameterList parameters() override {
    ParameterList list = model_->parameters();
    if (teacher_) teacher_->collect(list);
    return list;
  }
  bool endless() const override { return true; }
  int64_t rows() const override { return rows_->rows_per_epoch(); }
  int64_t tokens(int64_t) const override { return options_.rows.max_length; }
  double weight(int64_t) const override { return 1; }

  /// The mean over the masked words, and that over the sentence pairs: one loss, their sum. A teacher shares in the
  /// first, and may add what states differ by.
  Var loss(std::span<const int64_t> rows, ForwardContext& context) override {
    const PretrainingBatch batch = batch_of(rows);
    Var of_states;
    const Var hidden = teacher_ ? teacher_->forward(model_->bert(), batch, context, of_states)
                                : model_->bert().forward_at(batch.tokens, batch.picked, context);
    DistillationStatistics statistics;
    Var loss = masked_words_loss(*model_, hidden, batch, teacher_.get(), context.precision(), statistics);
    Score words, sentences;
    add_masked(statistics.words, words);
    if (has_sentences()) {
      const Var logits = model_->next_sentence_logits(hidden, batch.first);
      add_sentences(logits.value(), batch.labels, sentences);
      loss = add(loss, cross_entropy(logits, batch.labels));
    }
    const double found[] = {words.rows, words.loss, words.correct, sentences.rows, sentences.loss, sentences.correct};
    for (size_t i = 0; i < std::size(found); ++i) sums_[i] += found[i];
    if (teacher_) sums_[kDistance] += statistics.distance_sum;
    if (!of_states.defined()) return loss;
    sums_[kStates] += words.rows * static_cast<double>(*of_states.value().data<float>());
    return add(loss, of_states);
  }

  std::span<double> training_sums() override { return sums_; }
  MetricList training_metrics() const override {
    const Score words{sums_[0], sums_[1], sums_[2]}, sentences{sums_[3], sums_[4], sums_[5]};
    MetricList metrics = {{"mlm_loss", words.mean_loss()}, {"mlm_accuracy", words.accuracy()}};
    if (has_sentences())
      metrics.insert(metrics.end(),
                     {{name_ + "_loss", sentences.mean_loss()}, {name_ + "_accuracy", sentences.accuracy()}});
    if (teacher_ && teacher_->answers()) metrics.emplace_back("distillation_loss", mean_of(kDistance));
    if (teacher_ && teacher_->shows_states()) metrics.emplace_back("state_loss", mean_of(kStates));
    return metrics;
  }

  bool has_dev() const override { return rows_->heldout_rows() > 0; }
  Evaluation evaluate() override;
  std::string headline_metric() const override { return "loss"; }
  std::vector<std::string> metric_names() const override {
    std::vector<std::string> names = {"loss", "mlm_loss", "perplexity", "mlm_accuracy", "mlm_guess"};
    if (has_sentences()) names.insert(names.end(), {name_ + "_loss", name_ + "_accuracy"});
    return names;
  }

  void save(const ModelFiles& files) override {
    tokenizer_.save(files.dir());
    const ParameterList own = model_->parameters();
    files.write_json(ModelFiles::kConfig, config_json(saved_config_, own));
    save_parameters(files, own, options_.half_width ? DType::kF16 : DType::kF32);
  }
  std::vector<std::string> summary() const override { return summary_; }

  Json fingerprint() const override {
    Json inputs = {{"model_config", config_.to_json()}, {"tokens", Json::array()}};
    for (const PretrainingSource& source : rows_->sources()) inputs["tokens"].push_back(source.cache->fingerprint());
    if (teacher_) inputs["teacher"] = teacher_->fingerprint();
    return inputs;
  }

  std::string preview(int64_t number) const override {
    const PretrainingRow whole = rows_->row(number);
    const MaskedRow masked = mask_row(whole, masker_, options_.rows.seed, number);
    std::string pieces;
    size_t next = 0;
    for (size_t i = 0; i < whole.ids.size(); ++i) {
      pieces += ' ';
      pieces += tokenizer_.token(masked.row.ids[i]);
      if (next < masked.positions.size() && masked.positions[next] == static_cast<int32_t>(i)) {
        pieces += fmt::format("<{}>", tokenizer_.token(masked.targets[next]));
        ++next;
      }
    }
    std::string label;
    if (masked.row.label >= 0)
      label = fmt::format("; {}", has_order() ? (masked.row.label == 0 ? "B follows A" : "A follows B")
                                              : (masked.row.label == 0 ? "B follows A" : "B is from another document"));
    return fmt::format("from   {}, document {}{}; {} of {} tokens to be <predicted>\npieces{}",
                       rows_->sources()[whole.source].name, whole.document[0] + 1, label, masked.positions.size(),
                       whole.ids.size(), pieces);
  }

  int64_t activation_bytes(int64_t tokens, Activations activations) const override {
    constexpr int64_t kLogitBytes = 64 << 20;  // a chunk of logits and of their gradients
    return config_.training_bytes(tokens, activations) + kLogitBytes + (teacher_ ? teacher_->bytes(tokens) : 0);
  }

 private:
  bool has_sentences() const { return options_.rows.objective != SentenceObjective::kNone; }
  bool has_order() const { return options_.rows.objective == SentenceObjective::kOrder; }
  /// Of a sum over the masked words.
  double mean_of(size_t sum) const { return sums_[0] > 0 ? sums_[sum] / sums_[0] : std::nan(""); }

  PretrainingBatch batch_of(std::span<const int64_t> numbers) const {
    const ProfilePhase phase("rows");
    std::vector<MaskedRow> rows;
    for (const int64_t number : numbers)
      rows.push_back(mask_row(rows_->row(number), masker_, options_.rows.seed, number));
    return join_rows(rows);
  }

  HeldoutScore score(const std::vector<MaskedRow>& rows);
  std::string table(const std::vector<HeldoutScore>& scores, const HeldoutScore& all) const;
  void make_config();
  void open_rows(const PretrainingProgress& progress);
  void make_model();
  void find_teacher();
  void start_from_scratch();
  void summarise();

  PretrainingOptions options_;
  Tokenizer tokenizer_;
  Masker masker_;
  BertConfig config_, saved_config_;
  std::string name_ = "nsp";
  std::unique_ptr<PretrainingRows> rows_;
  std::unique_ptr<PretrainingModel> model_;
  std::unique_ptr<PretrainingTeacher> teacher_;
  /// Words and sentences: rows, loss, right ones; with a teacher also the two below, over the masked words.
  std::vector<double> sums_ = std::vector<double>(6, 0.0);
  static constexpr size_t kDistance = 6, kStates = 7;
  std::vector<std::string> summary_;
};

void Pretraining::make_config() {
  const bool scratch = options_.model.empty();
  config_ = scratch ? options_.scratch_config : load_config(ModelFiles::open(options_.model));
  if (scratch) config_.vocab_size = tokenizer_.size();
  check_vocabulary(tokenizer_, config_, scratch ? options_.vocab : options_.model);
  CLOZE_CHECK(options_.rows.max_length <= config_.max_position_embeddings, ErrorCode::kUsage,
              "--max-length {} is more than the model's {} positions", options_.rows.max_length,
              config_.max_position_embeddings);
  if (has_order()) name_ = "sop";
  config_.architecture = has_sentences() ? kWithSentences : kMaskedWords;
  config_.labels.clear();
  // A task's own notes say nothing of the model that comes out.
  for (const char* note : {"task", "max_length", "long", "stride"}) config_.cloze.erase(note);
  saved_config_ = config_;
  if (options_.dropout >= 0) config_.hidden_dropout_prob = config_.attention_probs_dropout_prob = options_.dropout;
}

void Pretraining::open_rows(const PretrainingProgress& progress) {
  make_folder(options_.cache_dir);
  // Who comes while another process tokenizes waits, and then finds what it needs. What killed ones left is removed.
  const FolderLock lock(options_.cache_dir, FolderLock::Busy::kWait);
  std::vector<PretrainingSource> sources;
  for (size_t i = 0; i < options_.corpora.size(); ++i) {
    const Path& corpus = options_.corpora[i];
    const TokenCache cache = TokenCache::open_or_build(corpus, options_.cache_dir / cache_name(corpus), tokenizer_,
                                                       options_.cache, [&](int64_t bytes) {
                                                         if (progress) progress(corpus, bytes);
                                                       });
    const TokenCacheCounts& c = cache.counts();
    CLOZE_CHECK(c.unknown < c.tokens, ErrorCode::kValue,
                "{}: all of its {} tokens are unknown to the vocabulary; give one that fits the text", corpus.string(),
                c.tokens);
    summary_.push_back(fmt::format("corpus: {}: {} documents, {} sentences, {} tokens, {:.2f} % unknown{}",
                                   corpus.string(), c.documents, c.sentences, c.tokens,
                                   100.0 * static_cast<double>(c.unknown) / static_cast<double>(c.tokens),
                                   cache.was_built() ? "" : " (from its cache)"));
    if (c.replaced > 0)
      summary_.push_back(
          fmt::format("corpus: {}: {} invalid UTF-8 sequences were replaced by U+FFFD", corpus.string(), c.replaced));
    sources.push_back({.name = corpus.string(),
                       .cache = std::make_shared<TokenCache>(cache),
                       .weight = options_.weights.empty() ? 1 : options_.weights[i]});
  }
  const Vocabulary& vocabulary = tokenizer_.vocabulary();
  rows_ =
      std::make_unique<PretrainingRows>(std::move(sources), vocabulary.cls_id(), vocabulary.sep_id(), options_.rows);
  summary_.push_back(fmt::format("rows: {} an epoch of up to {} tokens, {} held out", rows_->rows_per_epoch(),
                                 options_.rows.max_length, rows_->heldout_rows()));
}

void Pretraining::make_model() {
  model_ = std::make_unique<PretrainingModel>(config_,
                                              PretrainingHeads{.masked_words = true, .next_sentence = has_sentences()});
  if (options_.model.empty()) {
    for (Parameter* parameter : model_->parameters())
      parameter->initialize(options_.rows.seed, config_.initializer_range);
    return;
  }
  Weights weights{Path(options_.model)};
  // A checkpoint that was tuned for a task has no such heads; the encoder must be there.
  const LoadReport report = load_parameters(
      weights, model_->parameters(), config_.initializer_range, options_.rows.seed,
      [](const std::string& name) { return name.starts_with("cls.") || name.starts_with("bert.pooler."); });
  summary_.push_back("weights: " + report.text());
}

void Pretraining::find_teacher() {
  if (options_.teacher.model.empty()) return;
  teacher_ = std::make_unique<PretrainingTeacher>(options_.teacher, tokenizer_, config_, options_.rows.max_length,
                                                  options_.rows.seed);
  sums_.resize(kStates + 1);
  summary_.push_back(teacher_->summary());
}

void Pretraining::start_from_scratch() {
  if (options_.start == PretrainingOptions::Start::kRandom)
    return summary_.emplace_back("weights: all initialised at random (from scratch)"), void();
  if (options_.start == PretrainingOptions::Start::kLater) return;
  const ProfilePhase phase("count");
  std::vector<WeightedTokens> texts;
  for (size_t s = 0; s < rows_->sources().size(); ++s)
    texts.push_back({rows_->training_tokens(s), rows_->sources()[s].weight});
  start_from_counts(model_->parameters(), config_, count_cooccurrence(texts, {.vocabulary = config_.vocab_size}),
                    options_.rows.seed);
  summary_.emplace_back(
      "weights: words, positions and some attention from counted neighbours, the rest at random (from scratch)");
}

void Pretraining::summarise() {
  summary_.push_back(fmt::format("model: {} layers, hidden {}, {} heads, vocabulary {}, {} parameters",
                                 config_.num_hidden_layers, config_.hidden_size, config_.num_attention_heads,
                                 config_.vocab_size, count_elements(model_->parameters())));
}

Evaluation Pretraining::evaluate() {
  const NoGrad no_grad;
  const int64_t count = std::min(options_.evaluation_rows, rows_->heldout_rows());
  // Rows of one source at a time, so that its figures are its own.
  std::vector<std::vector<MaskedRow>> by_source(rows_->sources().size());
  std::map<int32_t, double> guesses;  // how often each target stands in the held-out rows
  for (int64_t i = 0; i < count; ++i) {
    MaskedRow row = mask_row(rows_->heldout_row(i), masker_, ~options_.rows.seed, i);
    for (const int32_t target : row.targets) guesses[target] += 1;
    by_source[row.row.source].push_back(std::move(row));
  }
  model_->freeze();
  std::vector<HeldoutScore> scores;
  for (const std::vector<MaskedRow>& rows : by_source) scores.push_back(score(rows));
  model_->thaw();
  HeldoutScore all;
  for (const HeldoutScore& part : scores) all.add(part);
  double most = 0;
  for (const auto& [id, times] : guesses) most = std::max(most, times);
  Evaluation result;
  result.lengths.rows = count;
  result.text = table(scores, all);
  const double loss = all.words.mean_loss() + (has_sentences() ? all.sentences.mean_loss() : 0);
  result.metrics = {{"loss", loss},
                    {"mlm_loss", all.words.mean_loss()},
                    {"perplexity", std::exp(all.words.mean_loss())},
                    {"mlm_accuracy", all.words.accuracy()},
                    {"mlm_guess", all.words.rows > 0 ? most / all.words.rows : std::nan("")}};
  if (has_sentences()) {
    result.metrics.emplace_back(name_ + "_loss", all.sentences.mean_loss());
    result.metrics.emplace_back(name_ + "_accuracy", all.sentences.accuracy());
  }
  return result;
}

HeldoutScore Pretraining::score(const std::vector<MaskedRow>& rows) {
  HeldoutScore result;
  result.rows = rows.size();
  constexpr size_t kRows = 32;
  for (size_t begin = 0; begin < rows.size(); begin += kRows) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), begin + kRows));
    const PretrainingBatch batch = join_rows({first, last});
    ForwardContext context;
    const Var hidden = model_->bert().forward_at(batch.tokens, batch.picked, context);
    DistillationStatistics statistics;
    masked_words_loss(*model_, hidden, batch, nullptr, Precision::kF32, statistics);
    add_masked(statistics.words, result.words);
    if (has_sentences())
      add_sentences(model_->next_sentence_logits(hidden, batch.first).value(), batch.labels, result.sentences);
  }
  return result;
}

/// For people: a line for each source that has held-out rows.
std::string Pretraining::table(const std::vector<HeldoutScore>& scores, const HeldoutScore& all) const {
  std::string text = fmt::format("{:<28} {:>7} {:>10} {:>12}", "held out", "rows", "perplexity", "masked words");
  text += has_sentences() ? fmt::format(" {:>10}\n", name_) : "\n";
  const auto add_line = [&](const std::string& name, const HeldoutScore& s) {
    text += fmt::format("{:<28} {:>7} {:>10.2f} {:>12.4f}", name, s.rows, std::exp(s.words.mean_loss()),
                        s.words.accuracy());
    text += has_sentences() ? fmt::format(" {:>10.4f}\n", s.sentences.accuracy()) : "\n";
  };
  for (size_t s = 0; s < scores.size(); ++s)
    if (scores[s].rows > 0) add_line(Path(rows_->sources()[s].name).filename().string(), scores[s]);
  if (scores.size() > 1) add_line("all", all);
  return text;
}

}  // namespace

std::unique_ptr<TrainingTask> make_pretraining(const PretrainingOptions& options, const PretrainingProgress& progress) {
  return std::make_unique<Pretraining>(options, progress);
}

}  // namespace cloze
