#include "cloze/text/tokenizer_config.h"

#include <algorithm>
#include <charconv>

#include "cloze/base/error.h"
#include "cloze/base/json.h"

namespace cloze {
namespace {

// Hugging Face writes 1e30 where a model has no limit.
constexpr double kNoLimit = 1e9;

std::optional<bool> flag(const Json& object, const char* key, std::string_view where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return json_bool_or(object, key, false, where);
}

/// A token's name: a string, or an object with "content".
std::optional<std::string> token_name(const Json& object, const char* key, std::string_view where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->is_object() ? json_string(*found, "content", where) : json_string(object, key, where);
}

std::vector<AddedToken> read_decoder(const Json& object, std::string_view where) {
  std::vector<AddedToken> tokens;
  const auto found = object.find("added_tokens_decoder");
  if (found == object.end() || found->is_null()) return tokens;
  CLOZE_CHECK(found->is_object(), ErrorCode::kFormat, "{}: added_tokens_decoder should be an object", where);
  for (const auto& [key, entry] : found->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    CLOZE_CHECK(error == std::errc() && end == key.data() + key.size() && id >= 0 && entry.is_object(),
                ErrorCode::kFormat, "{}: added_tokens_decoder has the key \"{}\", expected an id", where, key);
    tokens.push_back({.content = json_string(entry, "content", where),
                      .id = id,
                      .special = json_bool_or(entry, "special", false, where),
                      .normalized = json_bool_or(entry, "normalized", false, where),
                      .single_word = json_bool_or(entry, "single_word", false, where),
                      .lstrip = json_bool_or(entry, "lstrip", false, where),
                      .rstrip = json_bool_or(entry, "rstrip", false, where)});
  }
  std::sort(tokens.begin(), tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

void check_never_split(const Json& object, const TokenizerConfig& config, std::string_view where) {
  const auto found = object.find("never_split");
  if (found == object.end() || found->is_null()) return;
  CLOZE_CHECK(found->is_array(), ErrorCode::kFormat, "{}: never_split should be a list", where);
  const SpecialTokenNames names;
  for (const Json& word : *found) {
    const std::string text = word.is_string() ? word.get<std::string>() : word.dump();
    const bool special = text == config.pad.value_or(names.pad) || text == config.unk.value_or(names.unk) ||
                         text == config.cls.value_or(names.cls) || text == config.sep.value_or(names.sep) ||
                         text == config.mask.value_or(names.mask);
    CLOZE_CHECK(special, ErrorCode::kUnsupported,
                "{}: never_split has \"{}\"; make it an added token in tokenizer.json instead", where, text);
  }
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view text, std::string_view where) {
  const Json object = parse_json(text, where);
  CLOZE_CHECK(object.is_object(), ErrorCode::kFormat, "{}: expected an object", where);
  TokenizerConfig config;
  config.lowercase = flag(object, "do_lower_case", where);
  config.strip_accents = flag(object, "strip_accents", where);
  config.handle_chinese_chars = flag(object, "tokenize_chinese_chars", where);
  CLOZE_CHECK(flag(object, "do_basic_tokenize", where).value_or(true), ErrorCode::kUnsupported,
              "{}: do_basic_tokenize is false, but Cloze always splits words as BERT does", where);
  config.pad = token_name(object, "pad_token", where);
  config.unk = token_name(object, "unk_token", where);
  config.cls = token_name(object, "cls_token", where);
  config.sep = token_name(object, "sep_token", where);
  config.mask = token_name(object, "mask_token", where);
  config.added_tokens = read_decoder(object, where);
  const double length = json_number_or(object, "model_max_length", kNoLimit, where);
  if (length >= 1 && length < kNoLimit) config.model_max_length = static_cast<int64_t>(length);
  check_never_split(object, config, where);
  return config;
}

std::string write_tokenizer_config(const Tokenizer& tokenizer) {
  const NormalizerOptions& normalizer = tokenizer.options().normalizer;
  const SpecialTokenNames& names = tokenizer.vocabulary().names();
  Json out;
  out["tokenizer_class"] = "BertTokenizer";
  out["do_lower_case"] = normalizer.lowercase;
  out["strip_accents"] = normalizer.strip_accents ? Json(*normalizer.strip_accents) : Json(nullptr);
  out["tokenize_chinese_chars"] = normalizer.handle_chinese_chars;
  out["do_basic_tokenize"] = true;
  out["never_split"] = nullptr;
  out["pad_token"] = names.pad;
  out["unk_token"] = names.unk;
  out["cls_token"] = names.cls;
  out["sep_token"] = names.sep;
  out["mask_token"] = names.mask;
  if (const auto length = tokenizer.options().model_max_length) out["model_max_length"] = *length;
  Json decoder = Json::object();
  for (const AddedToken& token : tokenizer.added_tokens()) {
    decoder[std::to_string(token.id)] = {{"content", token.content},         {"lstrip", token.lstrip},
                                         {"normalized", token.normalized},   {"rstrip", token.rstrip},
                                         {"single_word", token.single_word}, {"special", token.special}};
  }
  out["added_tokens_decoder"] = std::move(decoder);
  return dump_json(out);
}

}  // namespace cloze
