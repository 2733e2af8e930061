#include "cloze/text/tokenizer_json.h"

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/text/vocab_json.h"

namespace cloze {
namespace {

/// One tokenizer.json while it is read: its path for messages, and its parts.
class Reader {
 public:
  Reader(VocabJson document, std::string_view where) : document_(std::move(document)), where_(where) {}

  TokenizerJson read() {
    CLOZE_CHECK(document_.rest.is_object(), ErrorCode::kFormat, "{}: expected an object", where_);
    read_model();
    read_normalizer();
    expect_type(part("pre_tokenizer"), "pre_tokenizer", "BertPreTokenizer");
    read_post_processor();
    read_added_tokens();
    if (const Json& padding = part("padding"); padding.is_object())
      out_.names.pad = json_string_or(padding, "pad_token", out_.names.pad, where_);
    return std::move(out_);
  }

 private:
  const Json& part(const char* key) const { return member(document_.rest, key); }
  static const Json& member(const Json& object, const char* key) {
    static const Json kNull;
    if (!object.is_object()) return kNull;
    const auto found = object.find(key);
    return found == object.end() ? kNull : *found;
  }
  static std::string type_of(const Json& object) {
    if (object.is_null()) return "null";
    const Json& type = member(object, "type");
    return type.is_string() ? fmt::format("\"{}\"", type.get<std::string>()) : "no type";
  }
  void expect_type(const Json& object, const char* name, const char* type) const {
    CLOZE_CHECK(type_of(object) == fmt::format("\"{}\"", type), ErrorCode::kUnsupported,
                "{}: {} is {}, but Cloze reads only {} (BERT's)", where_, name, type_of(object), type);
  }

  void read_model() {
    const Json& model = part("model");
    CLOZE_CHECK(model.is_object(), ErrorCode::kFormat, "{}: the member \"model\" is missing", where_);
    // Old files leave the type out; WordPiece is told by its own member.
    if (!member(model, "type").is_null() || member(model, "max_input_chars_per_word").is_null())
      expect_type(model, "model", "WordPiece");
    CLOZE_CHECK(document_.has_vocab, ErrorCode::kFormat, "{}: model.vocab is missing or not an object", where_);
    out_.names.unk = json_string_or(model, "unk_token", "[UNK]", where_);
    out_.options.continuing_prefix = json_string_or(model, "continuing_subword_prefix", "##", where_);
    out_.options.max_chars_per_word = json_int_or(model, "max_input_chars_per_word", 100, where_);
    read_pieces();
  }

  void read_pieces() {
    // Ids may leave holes, but not so many that the list is mostly holes: it would cost memory that the file does not.
    const int64_t limit = static_cast<int64_t>(document_.vocab.size()) * 2 + 1024;
    for (auto& [piece, id] : document_.vocab) {
      CLOZE_CHECK(id >= 0 && id < limit, ErrorCode::kFormat,
                  "{}: model.vocab gives \"{}\" the id {}, expected 0 to about {} (the number of pieces)", where_,
                  piece, id, document_.vocab.size());
      const size_t at = static_cast<size_t>(id);
      if (at >= out_.pieces.size()) out_.pieces.resize(at + 1);
      CLOZE_CHECK(out_.pieces[at].empty(), ErrorCode::kFormat,
                  "{}: model.vocab gives the id {} to both \"{}\" and \"{}\"", where_, id, out_.pieces[at], piece);
      out_.pieces[at] = std::move(piece);
    }
  }

  void read_normalizer() {
    const Json& normalizer = part("normalizer");
    expect_type(normalizer, "normalizer", "BertNormalizer");
    NormalizerOptions& options = out_.options.normalizer;
    options.clean_text = json_bool_or(normalizer, "clean_text", true, where_);
    options.handle_chinese_chars = json_bool_or(normalizer, "handle_chinese_chars", true, where_);
    options.lowercase = json_bool_or(normalizer, "lowercase", true, where_);
    if (!member(normalizer, "strip_accents").is_null())
      options.strip_accents = json_bool_or(normalizer, "strip_accents", false, where_);
  }

  /// [CLS] A [SEP] and [CLS] A [SEP] B [SEP], as a template or as BertProcessing.
  void read_post_processor() {
    const Json& processor = part("post_processor");
    if (type_of(processor) == "\"BertProcessing\"") {
      out_.names.cls = first_string(member(processor, "cls"), "cls");
      out_.names.sep = first_string(member(processor, "sep"), "sep");
      return;
    }
    expect_type(processor, "post_processor", "TemplateProcessing");
    const std::vector<std::string> single = template_of(member(processor, "single"));
    const std::vector<std::string> pair = template_of(member(processor, "pair"));
    const bool bert = single.size() == 3 && pair.size() == 5 && single[1] == "A:0" && pair[1] == "A:0" &&
                      pair[3] == "B:1" && single[0] == pair[0] && single[2] == pair[2] && single[0].ends_with("/0") &&
                      single[2].ends_with("/0") &&
                      pair[4] == fmt::format("{}/1", single[2].substr(0, single[2].size() - 2));
    CLOZE_CHECK(
        bert, ErrorCode::kUnsupported,
        "{}: the post_processor's template is not BERT's ([CLS] A [SEP] and [CLS] A [SEP] B [SEP], type 1 from B on)",
        where_);
    out_.names.cls = single[0].substr(0, single[0].size() - 2);
    out_.names.sep = single[2].substr(0, single[2].size() - 2);
  }

  std::string first_string(const Json& list, const char* name) const {
    CLOZE_CHECK(list.is_array() && !list.empty() && list[0].is_string(), ErrorCode::kFormat,
                "{}: post_processor.{} should be [token, id]", where_, name);
    return list[0].get<std::string>();
  }

  /// Each element as text: "A:0" for a sequence, "[CLS]/0" for a special token, with its type id.
  std::vector<std::string> template_of(const Json& list) const {
    std::vector<std::string> out;
    for (const Json& element : list.is_array() ? list : Json::array()) {
      const Json& special = member(element, "SpecialToken");
      const Json& content = special.is_null() ? member(element, "Sequence") : special;
      if (!content.is_object()) return {};
      const int64_t type = json_int_or(content, "type_id", 0, where_);
      out.push_back(fmt::format("{}{}{}", json_string(content, "id", where_), special.is_null() ? ":" : "/", type));
    }
    return out;
  }

  void read_added_tokens() {
    std::vector<AddedToken>& tokens = out_.options.added_tokens.emplace();
    const Json& list = part("added_tokens");
    if (list.is_null()) return;
    CLOZE_CHECK(list.is_array(), ErrorCode::kFormat, "{}: added_tokens should be a list", where_);
    for (const Json& entry : list) {
      CLOZE_CHECK(entry.is_object(), ErrorCode::kFormat, "{}: an entry of added_tokens is not an object", where_);
      const int64_t id = json_int(entry, "id", where_);
      CLOZE_CHECK(id >= 0 && id <= 0x7FFFFFFE, ErrorCode::kFormat, "{}: an added token has the id {}", where_, id);
      tokens.push_back({.content = json_string(entry, "content", where_),
                        .id = static_cast<int32_t>(id),
                        .special = json_bool_or(entry, "special", false, where_),
                        .normalized = json_bool_or(entry, "normalized", true, where_),
                        .single_word = json_bool_or(entry, "single_word", false, where_),
                        .lstrip = json_bool_or(entry, "lstrip", false, where_),
                        .rstrip = json_bool_or(entry, "rstrip", false, where_)});
    }
  }

  VocabJson document_;
  std::string_view where_;
  TokenizerJson out_;
};

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text, std::string_view where) {
  return Reader(parse_vocab_json(text, where), where).read();
}

}  // namespace cloze
