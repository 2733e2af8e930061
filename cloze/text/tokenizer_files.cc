// Tokenizer::load and save: which file of a model directory says what.
#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/text/tokenizer_config.h"
#include "cloze/text/tokenizer_impl.h"
#include "cloze/text/tokenizer_json.h"

namespace cloze {
namespace {

constexpr size_t kMaxJsonBytes = size_t{256} << 20;

/// The names in tokenizer_config.json win over `names`.
SpecialTokenNames merge_names(SpecialTokenNames names, const TokenizerConfig& config) {
  names.pad = config.pad.value_or(names.pad);
  names.unk = config.unk.value_or(names.unk);
  names.cls = config.cls.value_or(names.cls);
  names.sep = config.sep.value_or(names.sep);
  names.mask = config.mask.value_or(names.mask);
  return names;
}

void check_agreement(const char* what, bool json, std::optional<bool> config, const Path& directory) {
  CLOZE_CHECK(!config || *config == json, ErrorCode::kFormat,
              "{}: tokenizer.json has {} = {}, but tokenizer_config.json says {}; make them equal (Hugging Face's two "
              "libraries would each take another one)",
              directory.string(), what, json, *config);
}

Tokenizer load_json(const Path& directory, const TokenizerConfig& config) {
  const Path path = directory / "tokenizer.json";
  TokenizerJson json = parse_tokenizer_json(read_file(path, kMaxJsonBytes), path.string());
  const NormalizerOptions& normalizer = json.options.normalizer;
  check_agreement("lowercase", normalizer.lowercase, config.lowercase, directory);
  check_agreement("strip_accents", normalizer.strips_accents(), config.strip_accents, directory);
  check_agreement("handle_chinese_chars", normalizer.handle_chinese_chars, config.handle_chinese_chars, directory);
  json.options.model_max_length = config.model_max_length;
  // The roles of unk, cls and sep are settled by tokenizer.json; only pad and mask need the other file.
  SpecialTokenNames names = json.names;
  names.pad = config.pad.value_or(names.pad);
  names.mask = config.mask.value_or(names.mask);
  return Tokenizer::from_vocabulary(Vocabulary(json.pieces, names, path.string()), std::move(json.options));
}

Tokenizer load_vocab(const Path& directory, const TokenizerConfig& config) {
  TokenizerOptions options;
  options.normalizer.lowercase = config.lowercase.value_or(true);
  options.normalizer.strip_accents = config.strip_accents;
  options.normalizer.handle_chinese_chars = config.handle_chinese_chars.value_or(true);
  options.model_max_length = config.model_max_length;
  Vocabulary vocabulary = Vocabulary::load(directory / "vocab.txt", merge_names({}, config));
  if (!config.added_tokens.empty()) options.added_tokens = config.added_tokens;
  return Tokenizer::from_vocabulary(std::move(vocabulary), std::move(options));
}

std::string missing_folder_hint(const Path& directory) {
  return fmt::format("; there is no such folder{}. Cloze does not download models", missing_path_hint(directory));
}

}  // namespace

Tokenizer Tokenizer::load(const Path& directory) {
  const Path config_path = directory / "tokenizer_config.json";
  std::error_code ignored;
  TokenizerConfig config;
  if (std::filesystem::exists(config_path, ignored))
    config = parse_tokenizer_config(read_file(config_path, kMaxJsonBytes), config_path.string());
  if (std::filesystem::exists(directory / "tokenizer.json", ignored)) return load_json(directory, config);
  CLOZE_CHECK(std::filesystem::exists(directory / "vocab.txt", ignored), ErrorCode::kNotFound,
              "{} has neither tokenizer.json nor vocab.txt: expected a model directory of Hugging Face's form{}",
              directory.string(), std::filesystem::exists(directory, ignored) ? "" : missing_folder_hint(directory));
  return load_vocab(directory, config);
}

void Tokenizer::save(const Path& directory) const {
  make_folder(directory);
  vocabulary().save(directory / "vocab.txt");
  write_file(directory / "tokenizer_config.json", write_tokenizer_config(*this));
  write_file(directory / "tokenizer.json", write_tokenizer_json(*this));
}

}  // namespace cloze
