// Training of text-classification: one text or a pair, one label of several (Devlin et al., 2019, figure 4a and 4b).
#include "cloze/task/text_classification.h"

#include <algorithm>
#include <set>

#include "cloze/base/profile.h"
#include "cloze/ops/ops.h"
#include "cloze/task/class_labels.h"
#include "cloze/task/text_classifier.h"

namespace cloze {
namespace {

constexpr const char* kArchitecture = "BertForSequenceClassification";

/// Heads and the pooler may be new; the encoder must be there.
bool may_start_fresh(const std::string& name) {
  return name.starts_with("classifier.") || name.starts_with("bert.pooler.");
}

std::set<std::string> as_set(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

class ClassificationTraining : public TrainingTask {
 public:
  explicit ClassificationTraining(const TrainingSource& source)
      : label_smoothing_(source.label_smoothing),
        r_drop_(source.r_drop),
        teacher_weight_(source.teacher_weight),
        temperature_(source.temperature),
        teacher_checksums_(source.teacher_checksums) {
    ExampleOptions options = source.examples;
    options.columns.label_need = Need::kRequired;
    options.columns.extra = source.number_columns;
    options.columns.extra_is_noted = true;
    Examples train = read(source.train, options, "train");
    if (source.fit_numbers) {  // first: a mistake in them must not wait for the tokens
      numbers_ = source.fit_numbers(train.rows, source.train.string());
      for (const std::string& line : numbers_->summary()) summary_.push_back(line);
    }
    make_model(source, collect_labels(train.rows, source.train.string()));
    labelled_ = train.rows.size();
    if (!source.unlabelled.empty()) add_unlabelled(source, train);
    encode(train, source.train, "train", train_, train_labels_);
    if (!source.dev.empty()) {
      const Examples dev = read(source.dev, options, "dev");
      encode(dev, source.dev, "dev", dev_, dev_labels_);
    }
    if (source.teach) taught_ = source.teach(train.rows, model_->config.labels, source.train.string());
    if (source.states.any()) add_state_teachers(source);
    weights_ = class_weights(source.class_weights, model_->config.labels, std::span(train_labels_).first(labelled_));
    if (!weights_.empty()) class_weight_ = Tensor::of(Shape({static_cast<int64_t>(weights_.size())}), weights_);
    for (size_t row = 0; row < train_.text.rows(); ++row) sequence_rows_.resize(train_.text.begin[row + 1], row);
    summarise();
  }

  ParameterList parameters() override {
    ParameterList list = model_->parameters();
    for (StateTeacher& teacher : states_) teacher.collect(list);
    return list;
  }
  /// A window is a row of its own in training, which bounds the memory of a step. The windows of a text share the
  /// weight of one row, so that long texts count no more than short ones.
  int64_t rows() const override { return static_cast<int64_t>(train_.text.sequences.size()); }
  int64_t tokens(int64_t row) const override { return static_cast<int64_t>(sequence(row).ids.size()); }
  double weight(int64_t row) const override {
    const int label = label_of(row);
    // With a teacher a pass divides by its rows alone (loss_of), and a text without a label has no class.
    return row_weight(row) *
           (weights_.empty() || taught_.defined() ? 1 : static_cast<double>(weights_[static_cast<size_t>(label)]));
  }

  Var loss(std::span<const int64_t> rows, ForwardContext& context) override {
    std::vector<int32_t> targets;
    std::vector<float> shares;
    for (const int64_t row : rows) {
      targets.push_back(label_of(row));
      shares.push_back(static_cast<float>(row_weight(row)));
    }
    const bool windows = train_.text.sequences.size() > train_.text.rows();
    const Tensor once = windows ? Tensor::of(Shape({static_cast<int64_t>(rows.size())}), shares) : Tensor();
    if (r_drop_ > 0) return twice(rows, targets, shares, once, context);
    Var extra;
    const Var logits = forward(rows, context, extra);
    return with(loss_of(logits, rows, targets, once), extra);
  }

  Bert* encoder() override { return &model_->bert; }
  double initializer_range() const override { return model_->config.initializer_range; }

  bool has_dev() const override { return dev_.text.rows() > 0; }
  Evaluation evaluate() override {
    model_->freeze();
    Evaluation result = evaluate_classifier(*model_, dev_, dev_labels_);
    model_->thaw();
    return result;
  }
  std::string headline_metric() const override { return "accuracy"; }
  std::vector<std::string> metric_names() const override {
    return {classification_metrics().begin(), classification_metrics().end()};
  }

  void save(const ModelFiles& files) override {
    model_->tokenizer.save(files.dir());
    if (numbers_) numbers_->save(files);
    const ParameterList parameters = model_->parameters();
    files.write_json(ModelFiles::kConfig, config_json(model_->config, parameters));
    save_parameters(files, parameters);
  }
  std::vector<std::string> summary() const override { return summary_; }

  Json fingerprint() const override {
    Json inputs = {{"train_rows", train_.text.rows()}, {"train_hash", hash_of_rows(train_.text, train_labels_)}};
    if (has_dev()) {
      inputs["dev_rows"] = dev_.text.rows();
      inputs["dev_hash"] = hash_of_rows(dev_.text, dev_labels_);
    }
    if (numbers_) inputs["numbers_hash"] = train_.numbers.hash();
    if (numbers_ && has_dev()) inputs["dev_numbers_hash"] = dev_.numbers.hash();
    if (!teacher_checksums_.empty()) inputs["teacher"] = teacher_checksums_;
    inputs["model_config"] = model_->config.to_json();
    return inputs;
  }

  std::string preview(int64_t row) const override {
    std::string pieces, ids;
    for (const int32_t id : sequence(row).ids) {
      pieces += fmt::format(" {}", model_->tokenizer.token(id));
      ids += fmt::format(" {}", id);
    }
    const size_t label = static_cast<size_t>(label_of(row));
    return fmt::format("label  {} ({})\npieces{}\nids   {}", model_->config.labels[label], label, pieces, ids);
  }

  int64_t activation_bytes(int64_t tokens, Activations activations) const override {
    return model_->config.training_bytes(r_drop_ > 0 ? 2 * tokens : tokens, activations, model_->bert.recorded());
  }
  int64_t gradient_bytes(int64_t tokens) override {
    const BertConfig& c = model_->config;
    if (!model_->bert.word_embeddings().needs_grad()) return TrainingTask::gradient_bytes(tokens);
    const int64_t unread =
        std::max<int64_t>(0, c.vocab_size - tokens) + std::max<int64_t>(0, c.max_position_embeddings - tokens);
    return TrainingTask::gradient_bytes(tokens) - unread * c.hidden_size * static_cast<int64_t>(sizeof(float));
  }

 private:
  void add_state_teachers(const TrainingSource& source) {
    const auto count = static_cast<double>(source.state_teachers.size());
    const StateOptions share = {source.states.hidden / count, source.states.relations / count};
    size_t longest = 0;
    for (const TokenSequence& s : train_.text.sequences) longest = std::max(longest, s.ids.size());
    states_.reserve(source.state_teachers.size());
    for (const Path& teacher : source.state_teachers) {
      states_.emplace_back(teacher, model_->tokenizer, model_->config, share, source.seed, states_.size());
      const int64_t most = states_.back().most_tokens();
      CLOZE_CHECK(static_cast<int64_t>(longest) <= most, ErrorCode::kUsage,
                  "the teacher {0} takes {1} tokens, and the longest row has {2}: give --max-length {1}",
                  teacher.string(), most, longest);
    }
  }
  const TokenSequence& sequence(int64_t row) const { return train_.text.sequences[static_cast<size_t>(row)]; }

  /// `extra` gets what a teacher of states adds to the loss, where there is one.
  Var forward(std::span<const int64_t> rows, ForwardContext& context, Var& extra) const {
    const RaggedBatch batch = join_sequences(train_.text.sequences, rows);
    Var logits;
    if (!states_.empty()) {
      std::vector<Var> hidden;
      logits = model_->forward(batch, context, hidden);
      for (const StateTeacher& teacher : states_) {
        const Var part = teacher.loss(model_->bert, batch, hidden);
        extra = extra.defined() ? add(extra, part) : part;
      }
    } else {
      logits = model_->forward(batch, context);
    }
    if (!numbers_) return logits;
    std::vector<size_t> texts;
    for (const int64_t row : rows) texts.push_back(text_of(row));
    return add(logits, model_->numbers_head->forward(Var(train_.numbers.dense(texts)), context));
  }

  static Var with(const Var& loss, const Var& extra) { return extra.defined() ? add(loss, extra) : loss; }

  /// How much a text learns from the teacher, the rest from its label.
  double taught_share(int64_t row) const { return text_of(row) < labelled_ ? teacher_weight_ : 1; }

  /// Of the labels, and of the teacher where there is one. `share` [R]: see row_weight(); may be undefined.
  Var loss_of(const Var& logits, std::span<const int64_t> rows, const std::vector<int32_t>& targets,
              const Tensor& share) const {
    const Shape R({static_cast<int64_t>(rows.size())});
    if (!taught_.defined())
      return cross_entropy(logits, Tensor::of(R, targets), class_weight_, label_smoothing_, share);
    // Each row's share is split between its label and the teacher; each of the two means has its part of the whole.
    const Tensor to_label(R, DType::kF32), to_teacher(R, DType::kF32);
    const int64_t C = taught_.shape()[1];
    const Tensor teacher({R[0], C}, DType::kF32);
    double label_sum = 0, teacher_sum = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(taught_.data<float>() + static_cast<int64_t>(text_of(rows[i])) * C, C,
                  teacher.data<float>() + static_cast<int64_t>(i) * C);
      const double own = share.defined() ? static_cast<double>(share.data<float>()[i]) : 1,
                   taught = own * taught_share(rows[i]);
      to_teacher.data<float>()[i] = static_cast<float>(taught);
      to_label.data<float>()[i] = static_cast<float>(own - taught);
      teacher_sum += taught;
      label_sum += own - taught;
    }
    const double all = teacher_sum + label_sum;
    const Var own = cross_entropy(logits, Tensor::of(R, targets), class_weight_, label_smoothing_, to_label);
    return add(scaled(own, label_sum / all),
               distillation_loss(logits, teacher, temperature_, teacher_sum / all, to_teacher));
  }

  /// Appends texts whose labels stand for nothing: the teacher's answers alone count.
  void add_unlabelled(const TrainingSource& source, Examples& train) {
    CLOZE_CHECK(source.teach != nullptr, ErrorCode::kUsage, "texts without labels need a teacher: give --teacher");
    CLOZE_CHECK(!numbers_, ErrorCode::kUsage, "--unlabelled brings texts alone, and --features reads more");
    ExampleOptions options = source.examples;
    options.columns.label_need = Need::kIgnored;
    options.columns.label.clear();
    Examples texts = read(source.unlabelled, options, "unlabelled");
    for (TextExample& row : texts.rows) {
      row.label = model_->config.labels[0];
      train.rows.push_back(std::move(row));
    }
  }

  /// R-Drop: the rows twice in one batch, so with two draws of dropout.
  Var twice(std::span<const int64_t> rows, std::vector<int32_t> targets, std::vector<float> shares, const Tensor& once,
            ForwardContext& context) {
    std::vector<int64_t> doubled(rows.begin(), rows.end());
    doubled.insert(doubled.end(), rows.begin(), rows.end());
    targets.insert(targets.end(), targets.begin(), targets.begin() + static_cast<std::ptrdiff_t>(rows.size()));
    shares.insert(shares.end(), shares.begin(), shares.begin() + static_cast<std::ptrdiff_t>(rows.size()));
    const Shape R({static_cast<int64_t>(doubled.size())});
    Var extra;
    const Var logits = forward(doubled, context, extra);
    const Var own = loss_of(logits, doubled, targets, once.defined() ? Tensor::of(R, shares) : Tensor());
    return with(add(own, symmetric_kl(logits, r_drop_, once)), extra);
  }

  Examples read(const Path& path, const ExampleOptions& options, const char* what) {
    Examples examples = read_all(path, options);
    CLOZE_CHECK(!examples.rows.empty(), ErrorCode::kValue, "{}: there are no rows", path.string());
    summary_.push_back(
        fmt::format("{}: {} rows of {}, {}", what, examples.rows.size(), path.string(), describe(examples.columns)));
    if (examples.replaced > 0)
      summary_.push_back(
          fmt::format("{}: {} invalid UTF-8 sequences were replaced by U+FFFD", what, examples.replaced));
    return examples;
  }

  void encode(const Examples& examples, const Path& path, const char* what, ClassifierRows& rows,
              std::vector<int>& labels) {
    rows = encode_rows(*model_, examples.rows, path.string());
    labels = label_ids(examples.rows, model_->config.labels, path.string());
    const std::string note = rows.text.counts().text(model_->limits);
    if (!note.empty()) summary_.push_back(fmt::format("{}: {}", what, note));
  }

  void summarise() {
    const std::vector<std::string>& names = model_->config.labels;
    summary_.push_back(fmt::format("labels: {} ({})", names.size(), shorten_list(names)));
    if (!weights_.empty()) {
      std::vector<std::string> shown;
      for (size_t c = 0; c < names.size(); ++c) shown.push_back(fmt::format("{} {:.3g}", names[c], weights_[c]));
      summary_.push_back(fmt::format("class weights: {}", shorten_list(shown)));
    }
    summary_.push_back(fmt::format("model: {} layers, hidden {}, {} heads, vocabulary {}, {} parameters",
                                   model_->config.num_hidden_layers, model_->config.hidden_size,
                                   model_->config.num_attention_heads, model_->config.vocab_size,
                                   count_elements(model_->parameters())));
  }

  void make_model(const TrainingSource& source, const std::vector<std::string>& labels) {
    const bool scratch = source.model.empty();
    BertConfig config = scratch ? source.scratch_config : load_config(ModelFiles::open(source.model));
    Tokenizer tokenizer = scratch ? scratch_tokenizer(source) : Tokenizer::load(source.model);
    if (scratch) config.vocab_size = tokenizer.size();
    check_vocabulary(tokenizer, config, scratch ? source.vocab : source.model);
    // A head trained on the same labels, in whatever order they come here, is kept with its own order.
    const bool same_labels = as_set(labels) == as_set(config.labels) && config.architecture == kArchitecture;
    if (!same_labels && !config.labels.empty() && config.architecture == kArchitecture)
      summary_.push_back(
          fmt::format("labels differ from the model's, so its classifier starts anew\n"
                      "  labels of the data:  {}\n  labels of the model: {}",
                      shorten_list(labels), shorten_list(config.labels)));
    if (!same_labels) config.labels = labels;
    config.architecture = kArchitecture;
    if (source.dropout >= 0) {
      config.hidden_dropout_prob = config.attention_probs_dropout_prob = source.dropout;
      config.source.erase("classifier_dropout");
    }
    const RowLimits limits =
        resolve_limits(source.lengths, tokenizer, config, (Path(source.model) / ModelFiles::kConfig).string());
    config.cloze["task"] = kTextClassification;
    config.source.erase("problem_type");  // of what the model did before
    config.cloze.erase("frozen");         // of a model whose encoder had stayed as it was
    config.cloze.erase(kNumbersKey);
    if (numbers_) config.cloze[kNumbersKey] = true;
    note_limits(limits, config);
    model_ = std::make_unique<TextClassifier>(std::move(config), std::move(tokenizer), limits, numbers_);
    if (scratch) {
      for (Parameter* parameter : model_->parameters())
        parameter->initialize(source.seed, model_->config.initializer_range);
      summary_.emplace_back("weights: all initialised at random (from scratch)");
    } else {
      load_weights(source, same_labels);
    }
  }

  void load_weights(const TrainingSource& source, bool same_labels) {
    Weights weights{Path(source.model)};
    const double range = model_->config.initializer_range;
    ParameterList wanted, fresh;
    model_->bert.collect(wanted);
    model_->head.collect(same_labels ? wanted : fresh);
    if (model_->numbers_head) model_->numbers_head->collect(fresh);  // other rows were behind earlier ones
    LoadReport report = load_parameters(weights, wanted, range, source.seed, may_start_fresh);
    for (Parameter* parameter : fresh) {
      parameter->initialize(source.seed, range);
      report.initialised.push_back(parameter->name);
    }
    summary_.push_back("weights: " + report.text());
  }

  size_t text_of(int64_t row) const { return sequence_rows_[static_cast<size_t>(row)]; }
  int label_of(int64_t row) const { return train_labels_[text_of(row)]; }
  double row_weight(int64_t row) const { return 1.0 / static_cast<double>(train_.text.windows(text_of(row))); }

  double label_smoothing_, r_drop_, teacher_weight_, temperature_;
  std::vector<std::string> teacher_checksums_;
  size_t labelled_ = 0;  ///< of the training texts the first so many have labels
  std::vector<StateTeacher> states_;
  Tensor taught_;  ///< the teacher's probabilities of the training texts [texts,C]; undefined without one
  std::unique_ptr<TextClassifier> model_;
  RowNumbersPtr numbers_;  ///< may be null
  ClassifierRows train_, dev_;
  std::vector<size_t> sequence_rows_;  ///< the text that each training sequence belongs to
  std::vector<int> train_labels_, dev_labels_;
  std::vector<float> weights_;  ///< of the classes; empty: all 1
  Tensor class_weight_;
  std::vector<std::string> summary_;
};

}  // namespace

std::unique_ptr<TrainingTask> train_text_classification(const TrainingSource& source) {
  return std::make_unique<ClassificationTraining>(source);
}

}  // namespace cloze
