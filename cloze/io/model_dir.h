// The files of a Hugging Face model directory.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cloze/base/file.h"
#include "cloze/base/json.h"

namespace cloze {

class ModelFiles {
 public:
  static constexpr const char* kConfig = "config.json";
  static constexpr const char* kVocab = "vocab.txt";
  static constexpr const char* kTokenizer = "tokenizer.json";
  static constexpr const char* kTokenizerConfig = "tokenizer_config.json";
  static constexpr const char* kSpecialTokens = "special_tokens_map.json";
  static constexpr const char* kWeights = "model.safetensors";
  static constexpr const char* kWeightsIndex = "model.safetensors.index.json";
  static constexpr const char* kEnsemble = "ensemble.json";  ///< of an ensemble, which comes before all else

  /// Of a folder to read from. Errors: kNotFound when it is missing or empty, kUsage when it is a file; kIo.
  static ModelFiles open(const Path& dir);
  /// Of a folder to write to; made if need be. Errors: kIo.
  static ModelFiles create(const Path& dir);

  const Path& dir() const { return dir_; }
  Path path(std::string_view name) const { return dir_ / name; }
  bool has(std::string_view name) const;
  /// path(name) of a file that must be there. Errors: kNotFound, with what the folder holds instead.
  Path require(std::string_view name) const;
  /// Names of everything in the folder, sorted.
  std::vector<std::string> list() const;

  static constexpr size_t kMostJsonBytes = size_t{16} << 20;
  /// The file (config.json by default), which must hold a JSON object of at most kMostJsonBytes.
  /// Errors: kNotFound, kIo, kFormat.
  Json read_json(std::string_view name = kConfig) const;
  /// Writes it, indented. Errors: kIo.
  void write_json(std::string_view name, const Json& value) const;

 private:
  explicit ModelFiles(Path dir) : dir_(std::move(dir)) {}
  Path dir_;
};

/// Errors: kUsage where `to`, which need not be there, lies in the folder `from` or is it: a copy would not end.
void refuse_inside(const Path& from, const Path& to);

/// Copies what the folder holds into another, which is made if need be, but for what a training run leaves that no
/// prediction reads (run.json, logs, states, the models of other seeds), and for the names in `without`. Errors: kIo;
/// those of refuse_inside.
void copy_model_files(const Path& from, const Path& to, std::span<const std::string_view> without = {});

}  // namespace cloze
