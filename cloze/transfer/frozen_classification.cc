#include "cloze/transfer/frozen_classification.h"

#include <chrono>
#include <optional>

#include "cloze/base/profile.h"
#include "cloze/task/class_answers.h"
#include "cloze/task/class_labels.h"
#include "cloze/transfer/choose_pooling.h"
#include "cloze/transfer/ensemble.h"
#include "cloze/transfer/row_features.h"

namespace cloze {
namespace {

constexpr const char* kTask = "text-classification";
constexpr const char* kFrozen = "frozen";

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

struct FrozenTraining::State {
  /// Rows of a file as the encoder takes them.
  struct Part {
    EncodedRows rows;
    std::vector<int> labels;
    std::vector<TextExample> examples;  ///< where features are joined
    std::string file;
  };

  FrozenOptions options;
  FrozenObserver observer;
  std::vector<FeatureSpec> specs;
  std::optional<JoinedFeatures> joined;
  uint64_t seed;
  std::unique_ptr<FrozenEncoder> encoder;
  std::vector<std::string> labels;
  Part train, dev;
  std::vector<float> class_weights;
  Poolings poolings;
  std::unique_ptr<Classifier> classifier;
  DType weights_type = DType::kF32;

  void say(const std::string& line) const {
    if (observer.say) observer.say(line);
  }

  Examples read(const Path& path, const ExampleOptions& wanted, const char* what) const {
    ExampleOptions examples_options = wanted;
    examples_options.columns.label_need = Need::kRequired;
    examples_options.columns.extra = feature_columns(specs);
    examples_options.columns.extra_is_noted = true;
    Examples examples = read_all(path, examples_options);
    CLOZE_CHECK(!examples.rows.empty(), ErrorCode::kValue, "{}: there are no rows", path.string());
    say(fmt::format("{}: {} rows of {}, {}", what, examples.rows.size(), path.string(), describe(examples.columns)));
    if (examples.replaced > 0)
      say(fmt::format("{}: {} invalid UTF-8 sequences were replaced by U+FFFD", what, examples.replaced));
    return examples;
  }

  Part encode(Examples examples, const Path& path, const char* what) const {
    Part part{encode_rows(encoder->tokenizer, examples.rows, encoder->limits),
              label_ids(examples.rows, labels, path.string()),
              {},
              path.string()};
    if (!specs.empty()) part.examples = std::move(examples.rows);
    const std::string note = part.rows.counts().text(encoder->limits);
    if (!note.empty()) say(fmt::format("{}: {}", what, note));
    return part;
  }

  Tensor vectors(const Part& part, FeatureCache* cache, FeatureCounts& counts) const {
    const Tensor x = cached_row_vectors(*encoder, part.rows, poolings, cache, counts, observer.progress);
    if (options.normalize) normalize_rows(x);
    return x;
  }
};

FrozenTraining::FrozenTraining(const TrainingSource& source, const FrozenOptions& options,
                               const FrozenObserver& observer)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.options = options;
  s.observer = observer;
  s.seed = source.seed;
  options.classifier.check();
  CLOZE_CHECK(
      options.classifier.classifier != "knn" || source.class_weights.empty() || source.class_weights == "none",
      ErrorCode::kUsage,
      "--class-weights goes with --classifier linear, svm, prototype and mlp; knn lets the nearest rows vote as "
      "they are");
  for (const std::string& feature : options.features) s.specs.push_back(parse_feature(feature));
  CLOZE_CHECK(s.specs.empty() || !options.classifier.no_standardize, ErrorCode::kUsage,
              "--no-standardize: with --features every group of numbers is brought to one scale");
  const bool choose = options.pooling == "auto";
  CLOZE_CHECK(!choose || !source.dev.empty(), ErrorCode::kUsage,
              "--pooling auto takes the pooling that does best on the dev rows: give --dev");
  s.poolings = choose ? Poolings{Pooling()} : parse_poolings(options.pooling);
  Examples train = s.read(source.train, source.examples, "train");
  s.labels = collect_labels(train.rows, source.train.string());
  const ModelFiles files = ModelFiles::open(source.model);
  s.encoder = load_frozen_encoder(files, s.poolings, source.lengths, Precision::kF32);
  s.weights_type = Weights(files.dir()).stored_type("bert.embeddings.word_embeddings.weight");
  s.train = s.encode(std::move(train), source.train, "train");
  if (!source.dev.empty()) s.dev = s.encode(s.read(source.dev, source.examples, "dev"), source.dev, "dev");
  s.class_weights = class_weights(source.class_weights, s.labels, s.train.labels);
  const BertConfig& c = s.encoder->config;
  s.say(fmt::format("labels: {} ({})", s.labels.size(), shorten_list(s.labels)));
  s.say(fmt::format("encoder: frozen, {} layers, hidden {}, {} heads, vocabulary {}", c.num_hidden_layers,
                    c.hidden_size, c.num_attention_heads, c.vocab_size));
}

FrozenTraining::~FrozenTraining() = default;

FrozenResult FrozenTraining::run() {
  State& s = *state_;
  FrozenResult result;
  ProfilePhase phase("encode");
  const auto begin = std::chrono::steady_clock::now();
  if (!s.specs.empty()) {  // first, for a mistake in them must not wait for the encoder
    s.joined = JoinedFeatures::fit(s.specs, {s.train.examples, s.train.file, s.options.feature_cache});
    for (const std::string& line : s.joined->summary()) s.say(line);
  }
  if (s.options.pooling == "auto") {
    const PoolingChoice choice = choose_pooling(*s.encoder, {s.train.rows, s.train.labels, s.class_weights},
                                                {s.dev.rows, s.dev.labels, s.class_weights}, s.labels,
                                                s.options.classifier, s.options.normalize, s.seed);
    s.say(choice.table);
    s.poolings = {choice.best};
  }
  std::optional<FeatureCache> cache;
  if (!s.options.feature_cache.empty()) {
    cache.emplace(s.options.feature_cache, encoder_key(*s.encoder, s.poolings),
                  vector_width(s.poolings, s.encoder->config));
    if (cache->damaged() > 0)
      s.say(fmt::format("{}: {} damaged files of vectors were passed over", s.options.feature_cache, cache->damaged()));
  }
  Tensor x = s.vectors(s.train, cache ? &*cache : nullptr, result.features);
  Tensor dev;
  if (s.dev.rows.rows() > 0) dev = s.vectors(s.dev, cache ? &*cache : nullptr, result.features);
  if (s.joined) {
    s.joined->fit_text(x);
    x = s.joined->join(x, s.train.examples, s.train.file);
    if (dev.defined()) dev = s.joined->join(dev, s.dev.examples, s.dev.file);
    s.options.classifier.no_standardize = true;  // join() has
  }
  result.encode_seconds = seconds_since(begin);
  phase.next("fit");
  const auto fit = std::chrono::steady_clock::now();
  std::vector<float> row_weights;
  if (!s.class_weights.empty())
    for (const int label : s.train.labels) row_weights.push_back(s.class_weights[static_cast<size_t>(label)]);
  s.classifier = fit_classifier({x, s.train.labels, static_cast<int>(s.labels.size()), row_weights, s.labels},
                                s.options.classifier, s.seed);
  result.fit_seconds = seconds_since(fit);
  for (const NamedTensor& tensor : s.classifier->tensors()) result.classifier_numbers += tensor.tensor.elements();
  s.say(fmt::format("{}: {} numbers on vectors of {} ({})", s.options.classifier.classifier, result.classifier_numbers,
                    x.shape()[1], poolings_text(s.poolings)));
  for (const std::string& line : s.classifier->summary) s.say(line);
  phase.next("evaluate");
  if (dev.defined())
    result.dev = evaluate_classes(s.classifier->probabilities(dev), s.labels, s.dev.rows, s.dev.labels);
  return result;
}

void FrozenTraining::save(const ModelFiles& files) const {
  const State& s = *state_;
  BertConfig config = s.encoder->config;
  config.labels = s.labels;
  config.architecture = "BertModel";
  config.cloze["task"] = kTask;
  config.cloze[kFrozen] = {{"pooling", poolings_text(s.poolings)}, {"normalize", s.options.normalize}};
  config.cloze.erase(kNumbersKey);  // of a model that was trained with them
  if (s.joined) config.cloze[kFrozen]["features"] = true;
  note_limits(s.encoder->limits, config);
  s.encoder->tokenizer.save(files.dir());
  if (s.joined) s.joined->save(files);
  save_classifier(*s.classifier, files);
  Bert bert = s.encoder->bert;  // shares the weights
  ParameterList parameters;
  bert.collect(parameters);
  files.write_json(ModelFiles::kConfig, config_json(config, parameters));
  save_parameters(files, parameters, s.weights_type);
}

Json FrozenTraining::fingerprint() const {
  const State& s = *state_;
  Json inputs = {{"encoder", fmt::format("{:016x}", encoder_key(*s.encoder, s.poolings))},
                 {"train_rows", s.train.rows.rows()},
                 {"train_hash", hash_of_rows(s.train.rows, s.train.labels)}};
  if (s.dev.rows.rows() > 0) {
    inputs["dev_rows"] = s.dev.rows.rows();
    inputs["dev_hash"] = hash_of_rows(s.dev.rows, s.dev.labels);
  }
  return inputs;
}

namespace {

class FrozenPredictor : public Predictor {
 public:
  FrozenPredictor(const ModelFiles& files, const LoadOptions& options) {
    refuse_top_k(options, kTask);
    const std::string where = files.path(ModelFiles::kConfig).string();
    const BertConfig config = load_config(files);
    const Json& frozen = config.cloze[kFrozen];
    poolings_ = parse_poolings(json_string(frozen, "pooling", where));
    normalize_ = json_bool_or(frozen, "normalize", false, where);
    encoder_ = load_frozen_encoder(files, poolings_, options.lengths, options.precision);
    classifier_ = load_classifier(files);
    int64_t width = vector_width(poolings_, encoder_->config);
    if (json_bool_or(frozen, "features", false, where)) {
      joined_ = JoinedFeatures::load(files);
      CLOZE_CHECK(joined_->text_width() == width, ErrorCode::kFormat,
                  "{}: the pooling {} gives vectors of width {}, but the features were joined to {}",
                  files.path(JoinedFeatures::kFile).string(), poolings_text(poolings_), width, joined_->text_width());
      width = joined_->width();
    }
    CLOZE_CHECK(classifier_->dimension() == width, ErrorCode::kFormat,
                "{}: the pooling {}{} gives vectors of width {}, but the classifier was fitted on {}", where,
                poolings_text(poolings_), joined_ ? " with its features" : "", width, classifier_->dimension());
    CLOZE_CHECK(classifier_->classes() == static_cast<int>(config.labels.size()), ErrorCode::kFormat,
                "{}: \"id2label\" names {} labels, but the classifier has {}", where, config.labels.size(),
                classifier_->classes());
  }

  ClassifiedRows classify(std::span<const TextExample> rows, const std::string& file) override {
    EncodedRows encoded = encode_rows(encoder_->tokenizer, rows, encoder_->limits);
    const Tensor found = probabilities(encoded, rows, file);
    return {found, std::move(encoded)};
  }
  const std::vector<std::string>& class_labels() const override { return encoder_->config.labels; }
  Answers predict(std::span<const TextExample> rows) override {
    const ClassifiedRows found = classify(rows, "the row");
    return class_answers(found.probabilities, class_labels(), found.rows);
  }
  Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) override {
    const ClassifiedRows found = classify(rows, file);
    return evaluate_classes(found.probabilities, class_labels(), found.rows, label_ids(rows, class_labels(), file));
  }
  ColumnOptions prediction_columns() const override {
    ColumnOptions columns;
    columns.label_need = Need::kIgnored;
    if (joined_) columns.extra = joined_->columns();
    return columns;
  }
  ColumnOptions evaluation_columns() const override {
    ColumnOptions columns;
    if (joined_) columns.extra = joined_->columns();
    return columns;
  }
  void check(const TextExample& row, const std::string& file) const override {
    if (joined_) joined_->check(row, file);
  }
  TextExample sample_row() const override {
    TextExample row = Predictor::sample_row();
    if (joined_) row.extra.resize(joined_->columns().size());
    return row;
  }
  const LoadReport& load_report() const override { return encoder_->report; }
  const RowLimits& limits() const override { return encoder_->limits; }

 private:
  Tensor probabilities(const EncodedRows& encoded, std::span<const TextExample> rows, const std::string& file) const {
    const Tensor x = row_vectors(*encoder_, encoded, poolings_);
    if (normalize_) normalize_rows(x);
    if (!joined_) return classifier_->probabilities(x);
    // Joined rows are wide: a few at a time, which changes no bit of them.
    constexpr int64_t kRowsAtATime = 256;
    const int64_t N = x.shape()[0];
    Tensor all;
    for (int64_t begin = 0; begin == 0 || begin < N; begin += kRowsAtATime) {
      const int64_t end = std::min(N, begin + kRowsAtATime);
      const Tensor some = classifier_->probabilities(joined_->join(
          x.rows(begin, end), rows.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), file));
      if (begin == 0) all = Tensor({N, some.shape()[1]}, DType::kF32);
      std::ranges::copy(some.values<float>(), all.data<float>() + begin * some.shape()[1]);
    }
    return all;
  }

  std::unique_ptr<FrozenEncoder> encoder_;
  std::unique_ptr<Classifier> classifier_;
  std::optional<JoinedFeatures> joined_;
  Poolings poolings_;
  bool normalize_ = false;
};

}  // namespace

bool is_frozen_classifier(const BertConfig& config) {
  return config.cloze.contains(kFrozen) && config.cloze[kFrozen].is_object();
}

std::unique_ptr<Predictor> load_frozen_classifier(const ModelFiles& files, const LoadOptions& options) {
  return std::make_unique<FrozenPredictor>(files, options);
}

std::unique_ptr<Predictor> load_predictor(const ModelFiles& files, const std::string& task,
                                          const LoadOptions& options) {
  if (files.has(ModelFiles::kEnsemble)) {
    CLOZE_CHECK(task.empty() || task == kTask, ErrorCode::kUsage, "{} is an ensemble for {}, not for {}",
                files.dir().string(), kTask, task);
    return Ensemble::load(files, options);
  }
  const TaskEntry& entry = task_of(files, task);
  const BertConfig config = BertConfig::from_json(files.read_json(), files.path(ModelFiles::kConfig).string());
  if (entry.name == std::string_view(kTask) && is_frozen_classifier(config))
    return load_frozen_classifier(files, options);
  const bool numbers = entry.name == std::string_view(kTask) &&
                       json_bool_or(config.cloze, kNumbersKey, false, files.path(ModelFiles::kConfig).string());
  if (!numbers) return entry.load(files, options);
  LoadOptions own = options;
  auto joined = std::make_shared<JoinedFeatures>(JoinedFeatures::load(files));
  CLOZE_CHECK(joined->text_width() == 0, ErrorCode::kFormat,
              "{}: these features were joined to vectors of a frozen encoder, but the model was trained with them",
              files.path(JoinedFeatures::kFile).string());
  own.numbers = std::move(joined);
  return entry.load(files, own);
}

}  // namespace cloze
