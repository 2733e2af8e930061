#include "cloze/transfer/pooling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "cloze/base/suggest.h"
#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

struct TokensName {
  const char* name;
  Pooling::Tokens tokens;
};
constexpr TokensName kTokens[] = {{"cls", Pooling::Tokens::kCls},
                                  {"pooler", Pooling::Tokens::kPooler},
                                  {"mean", Pooling::Tokens::kMean},
                                  {"max", Pooling::Tokens::kMax},
                                  {"sum", Pooling::Tokens::kSum}};
struct LayersName {
  const char* name;
  Pooling::Layers layers;
};
constexpr LayersName kLayers[] = {{"last", Pooling::Layers::kLast},
                                  {"first-last", Pooling::Layers::kFirstLast},
                                  {"last4-mean", Pooling::Layers::kLast4Mean},
                                  {"last4-concat", Pooling::Layers::kLast4Concat}};
constexpr std::string_view kLayer = "layer=";

bool take_tokens(const std::string& word, Pooling& pooling) {
  for (const TokensName& entry : kTokens)
    if (word == entry.name) return pooling.tokens = entry.tokens, true;
  return false;
}

bool take_layers(const std::string& word, Pooling& pooling) {
  for (const LayersName& entry : kLayers)
    if (word == entry.name) return pooling.layers = entry.layers, true;
  if (!word.starts_with(kLayer)) return false;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data() + kLayer.size(), end, pooling.layer);
  pooling.layers = Pooling::Layers::kOne;
  return error == std::errc() && stop == end && pooling.layer >= 0;
}

/// The layers whose mean is taken; of several such groups the results are joined.
std::vector<std::vector<int64_t>> layer_groups(const Pooling& pooling, int64_t last) {
  switch (pooling.layers) {
    case Pooling::Layers::kLast:
      return {{last}};
    case Pooling::Layers::kOne:
      return {{pooling.layer}};
    case Pooling::Layers::kFirstLast:
      return {{0, last}};
    case Pooling::Layers::kLast4Mean:
      return {{last - 3, last - 2, last - 1, last}};
    case Pooling::Layers::kLast4Concat:
      return {{last - 3}, {last - 2}, {last - 1}, {last}};
  }
  return {};
}

/// The mean of some layers' hidden states, gathered while the encoder runs.
class LayerMean {
 public:
  explicit LayerMean(std::vector<int64_t> layers) : layers_(std::move(layers)) {}

  void add(int64_t layer, const Var& hidden) {
    if (std::ranges::find(layers_, layer) == layers_.end()) return;
    if (layers_.size() == 1) {
      mean_ = hidden.value();
      return;
    }
    if (!mean_.defined()) mean_ = Tensor::zeros(hidden.shape(), DType::kF32);
    const float* x = hidden.value().data<float>();
    float* sum = mean_.data<float>();
    const float share = 1.0F / static_cast<float>(layers_.size());
    for (int64_t i = 0; i < mean_.elements(); ++i) sum[i] += share * x[i];
  }
  const Tensor& value() const { return mean_; }

 private:
  std::vector<int64_t> layers_;
  Tensor mean_;
};

/// The gathered layers of one pooling, in order.
std::vector<LayerMean> gather_layers(const Pooling& pooling, const BertConfig& config) {
  std::vector<LayerMean> means;
  for (std::vector<int64_t>& group : layer_groups(pooling, config.num_hidden_layers))
    means.emplace_back(std::move(group));
  return means;
}

int64_t highest_layer(const Poolings& poolings, const BertConfig& config) {
  int64_t highest = 0;
  for (const Pooling& pooling : poolings)
    for (const std::vector<int64_t>& group : layer_groups(pooling, config.num_hidden_layers))
      highest = std::max(highest, *std::ranges::max_element(group));
  return highest;
}

/// Tokens [begin,end) of x[T,H] as one vector y[H].
void reduce(Pooling::Tokens tokens, const float* x, int64_t begin, int64_t end, int64_t H, float* y) {
  for (int64_t h = 0; h < H; ++h) {
    double sum = 0;
    float most = -std::numeric_limits<float>::infinity();
    for (int64_t t = begin; t < end; ++t) {
      sum += static_cast<double>(x[t * H + h]);
      most = std::max(most, x[t * H + h]);
    }
    const bool mean = tokens == Pooling::Tokens::kMean;
    y[h] = tokens == Pooling::Tokens::kMax ? most
                                           : static_cast<float>(mean ? sum / static_cast<double>(end - begin) : sum);
  }
}

/// Vectors [B,H] of the tokens of each sequence into columns [column, column+H) of `out` [B,D].
void pool_tokens(const Bert& bert, const RaggedBatch& batch, Pooling::Tokens tokens, const Tensor& hidden,
                 int64_t column, const Tensor& out) {
  const int64_t H = hidden.shape()[1], D = out.shape()[1], B = batch.sequences();
  float* const y = out.data<float>() + column;
  if (tokens == Pooling::Tokens::kCls || tokens == Pooling::Tokens::kPooler) {
    const Var states{hidden};
    const Tensor first = tokens == Pooling::Tokens::kCls ? gather_rows(states, batch.first_tokens()).value()
                                                         : bert.pooled(states, batch).value();  // [B,H]
    for (int64_t b = 0; b < B; ++b) std::copy_n(first.data<float>() + b * H, H, y + b * D);
    return;
  }
  const auto offsets = batch.offsets.values<int32_t>();
  thread_team().for_ranges(B, 1, [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; ++b)
      reduce(tokens, hidden.data<float>(), offsets[static_cast<size_t>(b)], offsets[static_cast<size_t>(b) + 1], H,
             y + b * D);
  });
}

}  // namespace

Pooling Pooling::parse(const std::string& text) {
  Pooling pooling;
  const size_t at = text.find('@');
  const bool known = at == std::string::npos
                         ? take_tokens(text, pooling) || take_layers(text, pooling)
                         : take_tokens(text.substr(0, at), pooling) && take_layers(text.substr(at + 1), pooling);
  std::vector<std::string> words;
  for (const TokensName& entry : kTokens) words.emplace_back(entry.name);
  for (const LayersName& entry : kLayers) words.emplace_back(entry.name);
  CLOZE_CHECK(known, ErrorCode::kUsage,
              "unknown pooling \"{}\"{}; there are {} and layer=K, and both joined, e.g. max@layer=2", text,
              did_you_mean(text, words), fmt::join(words, ", "));
  CLOZE_CHECK(pooling.tokens != Tokens::kPooler || pooling.layers == Layers::kLast, ErrorCode::kUsage,
              "pooling \"{}\": the pooler was trained on the last layer; of another one take cls", text);
  return pooling;
}

std::string Pooling::text() const {
  std::string name;
  for (const TokensName& entry : kTokens)
    if (tokens == entry.tokens) name = entry.name;
  if (layers == Layers::kLast) return name;
  std::string place = fmt::format("{}{}", kLayer, layer);
  for (const LayersName& entry : kLayers)
    if (layers == entry.layers) place = entry.name;
  return tokens == Tokens::kMean ? place : name + "@" + place;
}

Poolings parse_poolings(const std::string& text) {
  Poolings poolings;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    poolings.push_back(Pooling::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return poolings;
}

std::string poolings_text(const Poolings& poolings) {
  std::vector<std::string> names;
  for (const Pooling& pooling : poolings) names.push_back(pooling.text());
  return fmt::format("{}", fmt::join(names, ","));
}

bool needs_pooler(const Poolings& poolings) {
  return std::ranges::any_of(poolings, [](const Pooling& p) { return p.tokens == Pooling::Tokens::kPooler; });
}

void check_poolings(const Poolings& poolings, const BertConfig& config) {
  const int64_t layers = config.num_hidden_layers;
  for (size_t i = 0; i < poolings.size(); ++i) {
    const Pooling& pooling = poolings[i];
    CLOZE_CHECK(pooling.layers != Pooling::Layers::kOne || pooling.layer <= layers, ErrorCode::kUsage,
                "pooling \"{}\": the model has layers 0 (embeddings) to {}", pooling.text(), layers);
    const bool four = pooling.layers == Pooling::Layers::kLast4Mean || pooling.layers == Pooling::Layers::kLast4Concat;
    CLOZE_CHECK(!four || layers >= 4, ErrorCode::kUsage, "pooling \"{}\": the model has {} layers only", pooling.text(),
                layers);
    CLOZE_CHECK(std::ranges::count(poolings, pooling) == 1, ErrorCode::kUsage, "pooling \"{}\" is named twice",
                pooling.text());
  }
}

int64_t vector_width(const Poolings& poolings, const BertConfig& config) {
  int64_t width = 0;
  for (const Pooling& pooling : poolings)
    width += config.hidden_size * (pooling.layers == Pooling::Layers::kLast4Concat ? 4 : 1);
  return width;
}

Tensor sequence_vectors(const Bert& bert, const RaggedBatch& batch, const Poolings& poolings) {
  const NoGrad quiet;
  const BertConfig& config = bert.config();
  std::vector<std::vector<LayerMean>> means;
  for (const Pooling& pooling : poolings) means.push_back(gather_layers(pooling, config));
  ForwardContext context;
  bert.visit_layers(batch, context, highest_layer(poolings, config), [&](int64_t layer, const Var& hidden) {
    for (std::vector<LayerMean>& of_pooling : means)
      for (LayerMean& mean : of_pooling) mean.add(layer, hidden);
  });
  const Tensor vectors({batch.sequences(), vector_width(poolings, config)}, DType::kF32);
  int64_t column = 0;
  for (size_t i = 0; i < poolings.size(); ++i)
    for (const LayerMean& mean : means[i]) {
      pool_tokens(bert, batch, poolings[i].tokens, mean.value(), column, vectors);
      column += config.hidden_size;
    }
  return vectors;
}

Tensor token_vectors(const Bert& bert, const RaggedBatch& batch, const Pooling& pooling) {
  const NoGrad quiet;
  std::vector<LayerMean> means = gather_layers(pooling, bert.config());
  ForwardContext context;
  bert.visit_layers(batch, context, highest_layer({pooling}, bert.config()), [&](int64_t layer, const Var& hidden) {
    for (LayerMean& mean : means) mean.add(layer, hidden);
  });
  if (means.size() == 1) return means[0].value();
  const int64_t H = bert.config().hidden_size, D = H * static_cast<int64_t>(means.size());
  const Tensor joined({batch.tokens(), D}, DType::kF32);
  for (size_t i = 0; i < means.size(); ++i)
    for (int64_t t = 0; t < batch.tokens(); ++t)
      std::copy_n(means[i].value().data<float>() + t * H, H,
                  joined.data<float>() + t * D + static_cast<int64_t>(i) * H);
  return joined;
}

}  // namespace cloze
