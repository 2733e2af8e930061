#include <map>
#include <set>

#include "cloze/cli/command.h"
#include "cloze/cli/output.h"
#include "cloze/io/weights.h"
#include "cloze/model/checkpoint.h"
#include "cloze/text/tokenizer.h"

namespace cloze::cli {
namespace {

struct InfoArguments {
  std::string model;
  bool json = false;
};

/// Heads by the tensor that shows them.
constexpr std::pair<const char*, const char*> kHeads[] = {
    {"classifier.weight", "classifier"},
    {"qa_outputs.weight", "question answering"},
    {"cls.seq_relationship.weight", "next sentence"},
    {"cls.predictions.transform.dense.weight", "masked words"},
};

Json describe_model(const std::string& dir) {
  const ModelFiles files = ModelFiles::open(dir);
  const BertConfig config = load_config(files);
  const Weights weights{files.dir()};
  int64_t elements = 0;
  const std::vector<std::string> names = weights.names();
  std::map<std::string, int64_t> stored;  // numbers by the type that the file has them in
  for (const std::string& name : names) {
    elements += weights.shape_of(name)->elements();
    stored[weights.is_int8(name)     ? "I8"
           : weights.is_sparse(name) ? fmt::format("sparse {}", dtype_name(weights.stored_type(name)))
                                     : dtype_name(weights.stored_type(name))] += weights.shape_of(name)->elements();
  }
  Json heads = Json::array();
  for (const auto& [tensor, head] : kHeads)
    if (weights.has(tensor)) heads.push_back(head);
  Json result = {{"model", dir},
                 {"architecture", config.architecture},
                 {"layers", config.num_hidden_layers},
                 {"hidden", config.hidden_size},
                 {"heads", config.num_attention_heads},
                 {"feed_forward", config.intermediate_size},
                 {"vocabulary", config.vocab_size},
                 {"positions", config.max_position_embeddings},
                 {"tensors", names.size()},
                 {"parameters", elements},
                 {"stored_as", stored},
                 {"weights_file", weights.source().filename().string()},
                 {"trained_heads", heads},
                 {"labels", config.labels},
                 {"cloze", config.cloze}};
  if (files.has(ModelFiles::kTokenizer) || files.has(ModelFiles::kVocab)) {
    const Tokenizer tokenizer = Tokenizer::load(files.dir());
    result["tokenizer"] = {{"tokens", tokenizer.size()},
                           {"lowercase", tokenizer.options().normalizer.lowercase},
                           {"strip_accents", tokenizer.options().normalizer.strips_accents()}};
  }
  return result;
}

/// A line a layer of a pruned model: what is left, drawn against the largest layer.
std::string draw_layers(const BertConfig& config) {
  constexpr int64_t kBar = 24;
  int64_t heads = 1, neurons = 1;
  for (const LayerShape& shape : config.layers) {
    heads = std::max(heads, shape.heads);
    neurons = std::max(neurons, shape.feed_forward);
  }
  const auto bar = [](int64_t part, int64_t all) {
    const int64_t full = (part * kBar + all - 1) / all;
    std::string text;
    for (int64_t i = 0; i < kBar; ++i) text += i < full ? "█" : "·";
    return text;
  };
  std::string text = fmt::format("{:>5} {:>6} {:<24} {:>7}\n", "layer", "heads", "", "neurons");
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerShape& shape = config.layers[i];
    text += fmt::format("{:>5} {:>6} {} {:>7} {}\n", i, shape.heads, bar(shape.heads, heads), shape.feed_forward,
                        bar(shape.feed_forward, neurons));
  }
  return text;
}

void run_info(const InfoArguments& options) {
  CLOZE_CHECK(!options.model.empty(), ErrorCode::kUsage, "give a model directory: cloze info DIR");
  const Json facts = describe_model(options.model);
  if (options.json) return write_out(facts.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"), flush_out();
  std::string text;
  for (const auto& [key, value] : facts.items()) {
    std::string shown = value.is_string()           ? value.get<std::string>()
                        : value.is_number_integer() ? grouped(value.get<int64_t>())
                                                    : value.dump(-1, ' ', false, Json::error_handler_t::replace);
    text += fmt::format("{:<14} {}\n", key, shown);
  }
  const BertConfig config = load_config(ModelFiles::open(options.model));
  if (!config.layers.empty()) text += draw_layers(config);
  write_out(without_controls(text));
  flush_out();
}

}  // namespace

std::function<void()> setup_info(CLI::App& app) {
  auto options = std::make_shared<InfoArguments>();
  app.add_option("--model,model", options->model, "model directory, by itself or as --model");
  app.add_flag("--json", options->json, "one JSON object instead of lines");
  return [options] { run_info(*options); };
}

}  // namespace cloze::cli
