// config.json: read, written and read again, which must give an equal configuration.
#include "cloze/model/bert_config.h"
#include "fuzz/fuzz.h"

namespace cloze::fuzz {
namespace {

void check_equal(const BertConfig& a, const BertConfig& b) {
  FUZZ_CHECK(a.vocab_size == b.vocab_size && a.hidden_size == b.hidden_size, "sizes");
  FUZZ_CHECK(a.num_hidden_layers == b.num_hidden_layers && a.num_attention_heads == b.num_attention_heads, "layers");
  FUZZ_CHECK(a.intermediate_size == b.intermediate_size && a.type_vocab_size == b.type_vocab_size, "sizes");
  FUZZ_CHECK(a.max_position_embeddings == b.max_position_embeddings && a.pad_token_id == b.pad_token_id, "tokens");
  FUZZ_CHECK(a.hidden_dropout_prob == b.hidden_dropout_prob, "dropout");
  FUZZ_CHECK(a.attention_probs_dropout_prob == b.attention_probs_dropout_prob, "dropout of attention");
  FUZZ_CHECK(a.initializer_range == b.initializer_range && a.layer_norm_eps == b.layer_norm_eps, "numbers");
  FUZZ_CHECK(a.hidden_act == b.hidden_act, "activation");
  FUZZ_CHECK(a.layers == b.layers && a.head_size == b.head_size, "shapes of layers");
  FUZZ_CHECK(a.labels == b.labels, "{} and {} labels", a.labels.size(), b.labels.size());
  // A file without an architecture is written as one of the bare encoder.
  FUZZ_CHECK((a.architecture.empty() ? "BertModel" : a.architecture) == b.architecture, "{}", b.architecture);
  FUZZ_CHECK(a.cloze == b.cloze, "cloze");
}

void run(std::string_view text) {
  error_of([&] {
    const BertConfig config = BertConfig::from_json(parse_json(text, "config.json"), "config.json");
    const std::string written = dump_json(config.to_json());
    const BertConfig again = BertConfig::from_json(parse_json(written, "written"), "written");
    check_equal(config, again);
    FUZZ_CHECK(dump_json(again.to_json()) == written, "{}", written);
    FUZZ_CHECK(config.parameter_elements() > 0 && config.forward_flops(512) > 0, "{}", written);
  });
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
