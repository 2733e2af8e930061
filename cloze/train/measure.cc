#include "cloze/train/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>

#include "cloze/base/profile.h"
#include "cloze/base/thread_team.h"
#include "cloze/model/checkpoint.h"
#include "cloze/model/heads.h"
#include "cloze/ops/ops.h"
#include "cloze/optim/adamw.h"
#include "cloze/text/tokenizer.h"
#include "cloze/train/tuning.h"

namespace cloze {
namespace {

/// Sorted seconds of `runs` calls, after one untimed.
std::vector<double> time_runs(int64_t runs, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  work();
  std::vector<double> seconds;
  for (int64_t i = 0; i < runs; ++i) {
    const Clock::time_point begin = Clock::now();
    work();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::ranges::sort(seconds);
  return seconds;
}

struct Feed {
  RaggedBatch batch;
  Tensor targets;
};

/// Errors: kValue for a length that the model cannot take.
std::vector<Feed> random_feeds(const MeasureOptions& options, const BertConfig& config, int64_t classes) {
  for (const int64_t length : options.lengths)
    CLOZE_CHECK(length >= 1 && length <= config.max_position_embeddings, ErrorCode::kValue,
                "a row of {} tokens was asked for; the model takes 1 to {}", length, config.max_position_embeddings);
  Rng rng(1, RandomStream::kTest);
  std::vector<Feed> feeds;
  for (size_t at = 0; at < options.lengths.size(); at += static_cast<size_t>(options.batch)) {
    const size_t end = std::min(options.lengths.size(), at + static_cast<size_t>(options.batch));
    std::vector<std::vector<int32_t>> ids;
    std::vector<int32_t> targets;
    for (size_t i = at; i < end; ++i) {
      ids.emplace_back();
      for (int64_t t = 0; t < options.lengths[i]; ++t)
        ids.back().push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(config.vocab_size))));
      targets.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(classes))));
    }
    feeds.push_back({make_ragged_batch(ids, {}), Tensor::of(Shape({static_cast<int64_t>(targets.size())}), targets)});
  }
  return feeds;
}

}  // namespace

Measurement measure(const MeasureOptions& options) {
  CLOZE_CHECK(!options.lengths.empty() && options.batch > 0 && options.runs > 0, ErrorCode::kUsage,
              "bench needs rows, --batch and --runs of at least 1");
  ProfilePhase phase("load");
  const ModelFiles files = ModelFiles::open(options.model);
  const BertConfig config = load_config(files);
  const int64_t classes = std::max<int64_t>(2, static_cast<int64_t>(config.labels.size()));
  Bert bert(config, Pooler::kWith);
  ClassifierHead head(config, classes);
  ParameterList parameters;
  bert.collect(parameters);
  head.collect(parameters);
  Weights weights{files.dir()};
  load_parameters(
      weights, parameters, config.initializer_range, 0,
      [](const std::string& name) { return name.starts_with("classifier.") || name.starts_with("bert.pooler."); },
      options.mode == MeasureMode::kInfer ? Compact::kKeep : Compact::kExpand);
  const std::vector<Feed> feeds = random_feeds(options, config, classes);
  double flops = 0;
  for (const int64_t length : options.lengths) flops += config.forward_flops(length);
  const auto logits = [&](const Feed& feed, ForwardContext& context) {
    return head.forward(bert.pooled_only(feed.batch, context), context);
  };
  std::vector<double> seconds;
  if (options.mode == MeasureMode::kInfer) {
    const NoGrad no_grad;
    bert.freeze(EncoderLayer::Rows::kPicked, options.precision);
    head.freeze();
    seconds = time_runs(options.runs, [&] {
      for (const Feed& feed : feeds) {
        const ProfilePhase forward("forward");
        ForwardContext context;
        logits(feed, context);
      }
    });
  } else {
    flops *= 3;
    apply_trained_part(parameters, &bert, options.tuning, 1);
    bert.collect_adapters(parameters);
    AdamW optimizer(trained_of(parameters), {.moments = options.moments});
    uint64_t pass = 0;
    seconds = time_runs(options.runs, [&] {
      for (const Feed& feed : feeds) {
        ForwardContext context = ForwardContext::training(1, pass++, options.activations, options.precision);
        ProfilePhase part("forward");
        const Var loss = cross_entropy(logits(feed, context), feed.targets);
        part.next("backward");
        backward(loss);
        part.next("optimizer");
        const double norm = optimizer.gradient_norm();
        optimizer.step(2e-5, norm > 1.0 ? 1.0 / (norm + 1e-6) : 1.0);
      }
    });
  }
  const double median = seconds[seconds.size() / 2];
  return {.seconds_median = median,
          .seconds_min = seconds.front(),
          .gflops = flops / median / 1e9,
          .rows_per_s = static_cast<double>(options.lengths.size()) / median,
          .peak_bytes = peak_resident_bytes()};
}

std::vector<int64_t> read_lengths(const Path& path) {
  LineReader reader(path);
  std::vector<int64_t> lengths;
  while (const auto line = reader.next()) {
    int64_t length = 0;
    const auto [end, error] = std::from_chars(line->data(), line->data() + line->size(), length);
    CLOZE_CHECK(error == std::errc() && end == line->data() + line->size() && length > 0, ErrorCode::kFormat,
                "{} line {}: expected a number of tokens, found \"{}\"", path.string(), reader.line_number(), *line);
    lengths.push_back(length);
  }
  return lengths;
}

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

TokenizeMeasurement measure_tokenizer(const Path& model, const Path& input, int64_t runs) {
  CLOZE_CHECK(runs > 0, ErrorCode::kUsage, "--runs must be at least 1, got {}", runs);
  ProfilePhase phase("load");
  const Tokenizer tokenizer = Tokenizer::load(model);
  phase.next("read");
  LineReader reader(input);
  std::vector<std::string> lines;
  double bytes = 0;
  while (const auto line = reader.next()) {
    lines.emplace_back(*line);
    bytes += static_cast<double>(line->size()) + 1;
  }
  phase.next("tokenize");
  const std::vector<double> seconds = time_runs(runs, [&] {
    thread_team().for_ranges(static_cast<int64_t>(lines.size()), 64, [&](int64_t begin, int64_t end) {
      std::vector<int32_t> ids;
      for (int64_t i = begin; i < end; ++i) {
        ids.clear();
        tokenizer.encode_ids(lines[static_cast<size_t>(i)], ids);
      }
    });
  });
  const double median = seconds[seconds.size() / 2];
  return {.mb_per_s = bytes / 1e6 / median, .lines_per_s = static_cast<double>(lines.size()) / median};
}

}  // namespace cloze
