// write_tokenizer_json: the file as Hugging Face writes it.
#include "cloze/base/json.h"
#include "cloze/text/tokenizer_json.h"

namespace cloze {
namespace {

Json special(const std::string& name, int type) {
  return {{"SpecialToken", {{"id", name}, {"type_id", type}}}};
}
Json sequence(const char* name, int type) {
  return {{"Sequence", {{"id", name}, {"type_id", type}}}};
}

Json post_processor(const Vocabulary& vocabulary) {
  const std::string &cls = vocabulary.names().cls, &sep = vocabulary.names().sep;
  const auto entry = [](const std::string& name, int32_t id) {
    return Json{{"id", name}, {"ids", Json::array({id})}, {"tokens", Json::array({name})}};
  };
  Json tokens = Json::object();
  tokens[cls] = entry(cls, vocabulary.cls_id());
  tokens[sep] = entry(sep, vocabulary.sep_id());
  return {
      {"type", "TemplateProcessing"},
      {"single", Json::array({special(cls, 0), sequence("A", 0), special(sep, 0)})},
      {"pair", Json::array({special(cls, 0), sequence("A", 0), special(sep, 0), sequence("B", 1), special(sep, 1)})},
      {"special_tokens", tokens}};
}

/// Piece -> id, of equal pieces the last. Built as a list: looking each key up in a Json object would be quadratic.
Json vocab_object(const Vocabulary& vocabulary) {
  Json object = Json::object();
  auto& members = object.get_ref<Json::object_t&>();
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view piece = vocabulary.piece(id);
    if (!piece.empty() && vocabulary.id(piece) == id)
      static_cast<Json::object_t::Container&>(members).emplace_back(std::string(piece), id);
  }
  return object;
}

}  // namespace

std::string write_tokenizer_json(const Tokenizer& tokenizer) {
  const TokenizerOptions& options = tokenizer.options();
  const NormalizerOptions& normalizer = options.normalizer;
  Json added = Json::array();
  for (const AddedToken& token : tokenizer.added_tokens()) {
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  Json out;
  out["version"] = "1.0";
  out["truncation"] = nullptr;
  out["padding"] = nullptr;
  out["added_tokens"] = std::move(added);
  out["normalizer"] = {{"type", "BertNormalizer"},
                       {"clean_text", normalizer.clean_text},
                       {"handle_chinese_chars", normalizer.handle_chinese_chars},
                       {"strip_accents", normalizer.strip_accents ? Json(*normalizer.strip_accents) : Json(nullptr)},
                       {"lowercase", normalizer.lowercase}};
  out["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  out["post_processor"] = post_processor(tokenizer.vocabulary());
  out["decoder"] = {{"type", "WordPiece"}, {"prefix", options.continuing_prefix}, {"cleanup", true}};
  out["model"] = {{"type", "WordPiece"},
                  {"unk_token", tokenizer.vocabulary().names().unk},
                  {"continuing_subword_prefix", options.continuing_prefix},
                  {"max_input_chars_per_word", options.max_chars_per_word}};
  out["model"]["vocab"] = vocab_object(tokenizer.vocabulary());
  return dump_json(out);
}

}  // namespace cloze
