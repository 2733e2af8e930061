#include "cloze/model/bert_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <utility>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"

namespace cloze {
namespace {

/// The plain keys, listed once for reading, checking and writing.
struct IntField {
  const char* key;
  int64_t BertConfig::*member;
  int64_t least, most;
};
constexpr IntField kIntFields[] = {
    {"vocab_size", &BertConfig::vocab_size, 1, 1 << 28},
    {"hidden_size", &BertConfig::hidden_size, 1, 1 << 20},
    {"num_hidden_layers", &BertConfig::num_hidden_layers, 1, INT32_MAX},
    {"num_attention_heads", &BertConfig::num_attention_heads, 1, 1 << 20},
    {"intermediate_size", &BertConfig::intermediate_size, 1, 1 << 22},
    {"max_position_embeddings", &BertConfig::max_position_embeddings, 1, 65536},
    {"type_vocab_size", &BertConfig::type_vocab_size, 1, 1 << 16},
    {"pad_token_id", &BertConfig::pad_token_id, 0, 1 << 28},
};
struct NumberField {
  const char* key;
  double BertConfig::*member;
  double least, below;
};
constexpr NumberField kNumberFields[] = {
    {"hidden_dropout_prob", &BertConfig::hidden_dropout_prob, 0, 1},
    {"attention_probs_dropout_prob", &BertConfig::attention_probs_dropout_prob, 0, 1},
    {"initializer_range", &BertConfig::initializer_range, 0, 100},
    {"layer_norm_eps", &BertConfig::layer_norm_eps, 0, 1},
};
constexpr std::pair<const char*, Activation> kActivations[] = {
    {"gelu", Activation::kGelu},
    {"gelu_new", Activation::kGeluTanh},
    {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh},
    {"relu", Activation::kRelu},
    {"tanh", Activation::kTanh},
};

Activation parse_activation(const std::string& name, const std::string& where) {
  for (const auto& [known, activation] : kActivations)
    if (name == known) return activation;
  fail(ErrorCode::kUnsupported,
       "{}: \"hidden_act\" is \"{}\"; known are gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, tanh", where, name);
}

/// id2label {"0": "neg", …} in order; ids must be 0 to n-1.
std::vector<std::string> parse_labels(const Json& object, const std::string& where) {
  const auto found = object.find("id2label");
  if (found == object.end() || found->is_null()) return {};
  CLOZE_CHECK(found->is_object(), ErrorCode::kFormat, "{}: \"id2label\" must be an object, found {}", where,
              found->type_name());
  std::vector<std::string> labels(found->size());
  std::vector<char> seen(found->size(), 0);
  for (const auto& [key, name] : found->items()) {
    size_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    CLOZE_CHECK(error == std::errc() && end == key.data() + key.size() && id < labels.size() && !seen[id],
                ErrorCode::kFormat, "{}: \"id2label\" must have the keys 0 to {}, found \"{}\"", where,
                labels.size() - 1, key);
    CLOZE_CHECK(name.is_string(), ErrorCode::kFormat, "{}: \"id2label\" {} must be a string, found {}", where, key,
                name.type_name());
    labels[id] = name.get<std::string>();
    seen[id] = 1;
  }
  // Predictions name labels, and members of one object cannot share a name.
  std::map<std::string_view, size_t> ids;
  for (size_t id = 0; id < labels.size(); ++id) {
    const auto [first, fresh] = ids.emplace(labels[id], id);
    CLOZE_CHECK(fresh, ErrorCode::kFormat, "{}: \"id2label\" gives {} and {} the same name \"{}\"; rename one", where,
                first->second, id, labels[id]);
  }
  return labels;
}

Json shapes_to_json(const std::vector<LayerShape>& layers) {
  Json array = Json::array();
  for (const LayerShape& shape : layers)
    array.push_back({{"heads", shape.heads}, {"feed_forward", shape.feed_forward}});
  return array;
}

/// "cloze": {"layers": [{"heads", "feed_forward"}, …], "head_size"}: what pruning left.
void read_shapes(BertConfig& config, const std::string& where) {
  if (config.cloze.contains("head_size")) {
    config.head_size = json_int(config.cloze, "head_size", where);
    CLOZE_CHECK(config.head_size >= 1 && config.head_size <= 1 << 20, ErrorCode::kValue,
                "{}: \"head_size\" must be 1 to {}, found {}", where, 1 << 20, config.head_size);
  }
  const auto found = config.cloze.find("layers");
  if (found == config.cloze.end()) return;
  CLOZE_CHECK(found->is_array() && static_cast<int64_t>(found->size()) == config.num_hidden_layers, ErrorCode::kFormat,
              "{}: \"layers\" under \"cloze\" must be an array of \"num_hidden_layers\" ({}) objects", where,
              config.num_hidden_layers);
  for (const Json& layer : *found) {
    CLOZE_CHECK(layer.is_object(), ErrorCode::kFormat, "{}: \"layers\" under \"cloze\" must hold objects", where);
    const LayerShape shape{json_int(layer, "heads", where), json_int(layer, "feed_forward", where)};
    CLOZE_CHECK(shape.heads >= 0 && shape.heads <= 1 << 20 && shape.feed_forward >= 0 && shape.feed_forward <= 1 << 22,
                ErrorCode::kValue, "{}: a layer of {} heads and {} neurons", where, shape.heads, shape.feed_forward);
    config.layers.push_back(shape);
  }
  config.cloze["layers"] = shapes_to_json(config.layers);  // without what else may stand there
}

void refuse_other_architectures(const Json& object, const std::string& where) {
  const std::string type = json_string_or(object, "model_type", "bert", where);
  CLOZE_CHECK(type == "bert", ErrorCode::kUnsupported,
              "{}: \"model_type\" is \"{}\"; Cloze reads BERT checkpoints (\"bert\")", where, type);
  const std::string positions = json_string_or(object, "position_embedding_type", "absolute", where);
  CLOZE_CHECK(positions == "absolute", ErrorCode::kUnsupported,
              "{}: \"position_embedding_type\" is \"{}\"; only \"absolute\" is known", where, positions);
  for (const char* key : {"is_decoder", "add_cross_attention"})
    CLOZE_CHECK(!json_bool_or(object, key, false, where), ErrorCode::kUnsupported,
                "{}: \"{}\" is true; only encoders are known", where, key);
}

}  // namespace

BertConfig BertConfig::from_json(const Json& object, const std::string& where) {
  CLOZE_CHECK(object.is_object(), ErrorCode::kFormat, "{}: expected a JSON object, found {}", where,
              object.type_name());
  refuse_other_architectures(object, where);
  BertConfig config;
  config.source = object;
  for (const IntField& field : kIntFields) {
    const int64_t value = json_int_or(object, field.key, config.*field.member, where);
    CLOZE_CHECK(value >= field.least && value <= field.most, ErrorCode::kValue, "{}: \"{}\" must be {} to {}, found {}",
                where, field.key, field.least, field.most, value);
    config.*field.member = value;
  }
  for (const NumberField& field : kNumberFields) {
    const double value = json_number_or(object, field.key, config.*field.member, where);
    CLOZE_CHECK(value >= field.least && value < field.below, ErrorCode::kValue,
                "{}: \"{}\" must be in [{}, {}), found {}", where, field.key, field.least, field.below, value);
    config.*field.member = value;
  }
  config.hidden_act = parse_activation(json_string_or(object, "hidden_act", "gelu", where), where);
  config.labels = parse_labels(object, where);
  if (const auto found = object.find("architectures");
      found != object.end() && found->is_array() && !found->empty() && (*found)[0].is_string())
    config.architecture = (*found)[0].get<std::string>();
  if (const auto found = object.find("cloze"); found != object.end()) {
    CLOZE_CHECK(found->is_object(), ErrorCode::kFormat, "{}: \"cloze\" must be an object, found {}", where,
                found->type_name());
    config.cloze = *found;
  }
  read_shapes(config, where);
  CLOZE_CHECK(config.head_size > 0 || config.hidden_size % config.num_attention_heads == 0, ErrorCode::kValue,
              "{}: \"hidden_size\" {} does not divide into \"num_attention_heads\" {}", where, config.hidden_size,
              config.num_attention_heads);
  return config;
}

BertConfig BertConfig::preset(const std::string& size) {
  struct Preset {
    const char* name;
    int64_t layers, hidden;
  };
  constexpr Preset kPresets[] = {{"tiny", 2, 128},   {"mini", 4, 256},  {"small", 4, 512},
                                 {"medium", 8, 512}, {"base", 12, 768}, {"large", 24, 1024}};
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) {
    names.emplace_back(preset.name);
    if (size != preset.name) continue;
    BertConfig config;
    config.num_hidden_layers = preset.layers;
    config.hidden_size = preset.hidden;
    config.num_attention_heads = preset.hidden / 64;
    config.intermediate_size = 4 * preset.hidden;
    return config;
  }
  fail(ErrorCode::kUsage, "unknown size \"{}\"{}; known are tiny, mini, small, medium, base, large", size,
       did_you_mean(size, names));
}

Json BertConfig::to_json() const {
  Json object = source;
  object["architectures"] = Json::array({architecture.empty() ? "BertModel" : architecture});
  object["model_type"] = "bert";
  for (const IntField& field : kIntFields) object[field.key] = this->*field.member;
  for (const NumberField& field : kNumberFields) object[field.key] = this->*field.member;
  const auto same_act = [&](const auto& entry) { return entry.second == hidden_act; };
  const std::string old = json_string_or(source, "hidden_act", "", "config.json");
  const auto* first = std::ranges::find_if(kActivations, same_act);
  const bool old_fits =
      std::ranges::any_of(kActivations, [&](const auto& entry) { return same_act(entry) && old == entry.first; });
  if (!old_fits) object["hidden_act"] = first->first;
  object.erase("id2label");
  object.erase("label2id");
  object.erase("cloze");
  object.erase("quantization_config");  // what is written are floats, unless the writer says otherwise
  if (!labels.empty()) {
    Json id2label = Json::object(), label2id = Json::object();
    for (size_t i = 0; i < labels.size(); ++i) {
      id2label[std::to_string(i)] = labels[i];
      label2id[labels[i]] = i;
    }
    object["id2label"] = id2label;
    object["label2id"] = label2id;
  }
  Json own = cloze;
  if (head_size > 0)  // in its place, where it has one
    own["head_size"] = head_size;
  else
    own.erase("head_size");
  if (!layers.empty())
    own["layers"] = shapes_to_json(layers);
  else
    own.erase("layers");
  if (!own.empty()) object["cloze"] = own;
  return object;
}

double BertConfig::parameter_elements() const {
  const double tables =
      static_cast<double>(vocab_size + max_position_embeddings + type_vocab_size + 2 + hidden_size + 1);
  return tables * static_cast<double>(hidden_size) + encoder_elements();
}

int64_t BertConfig::layer_elements(const LayerShape& shape) const {
  const int64_t H = hidden_size, A = shape.heads * head_width(), F = shape.feed_forward;
  return 4 * H * A + 3 * A + 2 * H * F + F + 6 * H;
}

double BertConfig::encoder_elements() const {
  if (layers.empty()) return static_cast<double>(num_hidden_layers) * static_cast<double>(layer_elements(layer(0)));
  double sum = 0;
  for (const LayerShape& shape : layers) sum += static_cast<double>(layer_elements(shape));
  return sum;
}

double BertConfig::forward_flops(int64_t tokens) const {
  const double s = static_cast<double>(tokens), h = static_cast<double>(hidden_size);
  const auto flops = [&](const LayerShape& shape) {
    const double a = static_cast<double>(shape.heads * head_width()), f = static_cast<double>(shape.feed_forward);
    return s * (2 * (4 * h * a + 2 * h * f) + 4 * s * a);
  };
  if (layers.empty()) return static_cast<double>(num_hidden_layers) * flops(layer(0));
  double sum = 0;
  for (const LayerShape& shape : layers) sum += flops(shape);
  return sum;
}

int64_t BertConfig::training_bytes(int64_t tokens, Activations activations, const Recorded& recorded) const {
  // A layer keeps x, q, k, v, the mixed values, the sums before both layer norms and what the first one makes of its
  // own [T,H], and the inner values before and after their activation [T,F]; the backward pass holds a layer's
  // gradients at a time. Where layers are recomputed, each keeps x and one at a time the rest. The last layer has x, k
  // and v of all tokens and little else.
  // Biases need of all inputs only what an activation has read. Pruned layers count as the widest.
  int64_t F = layers.empty() ? intermediate_size : 0, A = layers.empty() ? hidden_size : 0;
  for (const LayerShape& shape : layers) {
    F = std::max(F, shape.feed_forward);
    A = std::max(A, shape.heads * head_width());
  }
  const int64_t rest = recorded.weights ? 3 * hidden_size + 4 * A + 2 * F : 3 * hidden_size + 3 * A + F;
  const int64_t once = 4 * hidden_size + 6 * A + 2 * F;
  const int64_t whole = std::max<int64_t>(0, recorded.layers - 1),
                kept = activations == Activations::kKept ? whole : std::min<int64_t>(whole, 1);
  // A layer that is not recorded frees its values as it ends.
  const int64_t passing = recorded.layers < num_hidden_layers ? 4 * hidden_size + 4 * A + F : 4 * hidden_size;
  const int64_t last = 2 * hidden_size + (whole > 0 ? once : passing);
  const int64_t floats = recorded.layers * hidden_size + kept * rest + last;
  return tokens * floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace cloze
