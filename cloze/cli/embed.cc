#include <optional>

#include "cloze/base/profile.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/cli/profile.h"
#include "cloze/io/npy.h"
#include "cloze/transfer/attention_maps.h"
#include "cloze/transfer/embedding.h"
#include "cloze/transfer/whitening.h"

namespace cloze::cli {
namespace {

struct EmbedArguments {
  std::string model, input = "-", output = "-", pooling = "mean", unit = "text", word_vector = "mean";
  std::string whitening, save_whitening;
  bool normalize = false, whiten = false, attention = false;
  int64_t whiten_width = 0;
  LengthFlags lengths;
  PrecisionFlag precision;
  TableFlags table;
  ThreadsOption threads;
  ProfileFlag profile;
};

bool is_npy(const std::string& path) {
  return path.ends_with(".npy");
}

void check_embed(const EmbedArguments& o) {
  CLOZE_CHECK(!o.whiten || o.whitening.empty(), ErrorCode::kUsage,
              "--whiten fits a whitening on these rows, --whitening takes a fitted one: one of them");
  CLOZE_CHECK(o.whiten || (o.save_whitening.empty() && o.whiten_width == 0), ErrorCode::kUsage,
              "--save-whitening and --whiten-width go with --whiten");
  CLOZE_CHECK(o.whiten_width >= 0, ErrorCode::kUsage, "--whiten-width must not be negative, got {}", o.whiten_width);
  for (const std::string& path : {o.whitening, o.save_whitening})
    CLOZE_CHECK(path.empty() || path.ends_with(".safetensors"), ErrorCode::kUsage,
                "a whitening is a .safetensors file, got \"{}\"", path);
  CLOZE_CHECK(o.output == "-" || is_npy(o.output) || o.output.ends_with(".jsonl"), ErrorCode::kUsage,
              "--output must end in .npy or .jsonl, or be - for JSON lines on stdout; got \"{}\"", o.output);
  const bool vectors = o.whiten || !o.whitening.empty() || o.normalize || is_npy(o.output);
  CLOZE_CHECK(!o.attention || !vectors, ErrorCode::kUsage,
              "--attention writes attention in place of vectors, as JSON lines: no .npy, --normalize or whitening");
}

/// Where rows go: stdout, a file of JSON lines, or a matrix with the lines of tokens or words beside it.
class Sink {
 public:
  Sink(const EmbedArguments& options, Unit unit) : path_(options.output) {
    if (path_ == "-") return;
    if (!is_npy(path_)) {
      lines_.emplace(path_);
    } else if (unit != Unit::kText) {
      beside_ = path_.substr(0, path_.size() - 4) + ".jsonl";
      lines_.emplace(beside_);
    }
  }

  void write(const EmbeddedRows& rows) {
    if (is_npy(path_)) {
      if (!matrix_) matrix_.emplace(path_, rows.vectors.shape()[1]);
      matrix_->append(rows.vectors);
      if (lines_) write_lines(embedding_lines(rows, LineVectors::kWithout));
    } else {
      write_lines(embedding_lines(rows));
    }
  }
  void write_lines(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      if (lines_)
        lines_->write(line + "\n");
      else
        write_out(line + "\n");
    }
    if (!lines_) flush_out();
  }
  void commit(int64_t width) {
    if (is_npy(path_) && !matrix_) matrix_.emplace(path_, width);  // no row came
    if (lines_) lines_->commit();
    if (matrix_) matrix_->commit();
    if (path_ == "-") return;
    if (matrix_)
      say(fmt::format("{} vectors of width {} are in {}{}", grouped(matrix_->rows()), width, path_,
                      beside_.empty() ? "" : ", what they stand for in " + beside_));
  }

 private:
  std::string path_, beside_;
  std::optional<AtomicFile> lines_;
  std::optional<NpyWriter> matrix_;
};

/// Whitening that is fitted on these rows must see all of them first.
EmbeddedRows joined(std::vector<EmbeddedRows> parts, int64_t width) {
  EmbeddedRows all;
  all.begin.push_back(0);
  std::vector<float> vectors;
  for (EmbeddedRows& part : parts) {
    const auto values = part.vectors.values<float>();
    vectors.insert(vectors.end(), values.begin(), values.end());
    for (size_t row = 1; row < part.begin.size(); ++row)
      all.begin.push_back(all.begin.back() + part.begin[row] - part.begin[row - 1]);
    std::ranges::move(part.places, std::back_inserter(all.places));
    std::ranges::copy(part.tokens, std::back_inserter(all.tokens));
    std::ranges::copy(part.windows, std::back_inserter(all.windows));
    std::ranges::copy(part.truncated, std::back_inserter(all.truncated));
    part = {};
  }
  all.vectors = Tensor::of(Shape({static_cast<int64_t>(vectors.size()) / width, width}), vectors);
  return all;
}

void run_embed(const EmbedArguments& options) {
  check_embed(options);
  options.threads.apply();
  ProfilePhase phase("load");
  EmbeddingOptions wanted;
  wanted.poolings = parse_poolings(options.pooling);
  wanted.unit = parse_unit(options.unit);
  wanted.word_vector = parse_word_vector(options.word_vector);
  const auto encoder = load_frozen_encoder(ModelFiles::open(options.model), wanted.poolings, options.lengths.lengths,
                                           options.precision.resolve());
  int64_t width = vector_width(wanted.poolings, encoder->config);
  std::optional<Whitening> whitening;
  if (!options.whitening.empty()) whitening = load_whitening(options.whitening);
  CLOZE_CHECK(!whitening || whitening->mean.elements() == width, ErrorCode::kUsage,
              "{}: the whitening was fitted on vectors of width {}, but these have {}", options.whitening,
              whitening ? whitening->mean.elements() : 0, width);
  phase.next("read");
  ExampleOptions examples = options.table.resolve();
  examples.columns.label_need = Need::kIgnored;
  const auto reader = ExampleReader::open(options.input, examples);
  Sink sink(options, wanted.unit);
  LengthCounts counts;
  std::vector<EmbeddedRows> held;
  const auto finish = [&](EmbeddedRows& rows) {
    if (whitening) rows.vectors = whiten(*whitening, rows.vectors);
    if (options.normalize) normalize_rows(rows.vectors);
    const ProfilePhase output("output");
    sink.write(rows);
  };
  const int64_t replaced = visit_rows(*reader, {}, [&](std::span<const TextExample> rows) {
    const ProfilePhase forward("forward");
    if (options.attention) {
      counts.add(encode_rows(encoder->tokenizer, rows, encoder->limits).counts());
      for (const TextExample& row : rows)
        for (const AttentionMaps& maps : attention_maps(*encoder, row)) sink.write_lines({attention_line(maps)});
      return;
    }
    EmbeddedRows embedded = embed_rows(*encoder, rows, wanted);
    counts.add(embedded.lengths);
    if (options.whiten)
      held.push_back(std::move(embedded));
    else
      finish(embedded);
  });
  if (options.whiten) {
    EmbeddedRows all = joined(std::move(held), width);
    whitening = fit_whitening(all.vectors, options.whiten_width);
    if (!options.save_whitening.empty()) save_whitening(options.save_whitening, *whitening);
    finish(all);
  }
  if (whitening) width = whitening->width();
  sink.commit(width);
  if (const std::string note = counts.text(encoder->limits); !note.empty()) say("note: " + note);
  if (replaced > 0) say(fmt::format("note: {} invalid UTF-8 sequences were replaced by U+FFFD", replaced));
}

}  // namespace

std::function<void()> setup_embed(CLI::App& app) {
  auto options = std::make_shared<EmbedArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--input", options->input, "file of rows; - is stdin")->capture_default_str();
  app.add_option("--output", options->output, "F.npy (a matrix), F.jsonl, or - for JSON lines on stdout")
      ->capture_default_str();
  app.add_option("--pooling", options->pooling,
                 "cls, pooler, mean, max, sum, first-last, last4-mean, last4-concat, layer=K, or e.g. max@layer=2; "
                 "several are joined: mean,cls")
      ->capture_default_str();
  app.add_option("--unit", options->unit, "a vector for each text, token or word")->capture_default_str();
  app.add_option("--word-vector", options->word_vector, "with --unit word: mean or sum of its pieces")
      ->capture_default_str();
  app.add_flag("--normalize", options->normalize, "divide each vector by its length");
  app.add_flag("--whiten", options->whiten, "fit a whitening on these rows and apply it");
  app.add_option("--whiten-width", options->whiten_width, "with --whiten: keep so many directions; 0: all that vary")
      ->capture_default_str();
  app.add_option("--save-whitening", options->save_whitening, "with --whiten: keep it in F.safetensors");
  app.add_option("--whitening", options->whitening, "apply a whitening that was kept");
  app.add_flag("--attention", options->attention, "write who attends to whom, by layer and head, instead of vectors");
  options->lengths.add(app);
  options->precision.add(app);
  options->table.add(app, TableFlags::Labels::kNone, "replace");
  options->threads.add(app);
  options->profile.add(app);
  return [options] { options->profile.run([&] { run_embed(*options); }); };
}

}  // namespace cloze::cli
