#include "cloze/io/grow_model.h"

#include <algorithm>
#include <array>
#include <set>

#include "cloze/base/error.h"
#include "cloze/io/model_dir.h"
#include "cloze/io/weights.h"

namespace cloze {
namespace {

constexpr const char* kEmbeddings = "bert.embeddings.word_embeddings.weight";
constexpr std::array<std::string_view, 4> kGrowing = {kEmbeddings, "cls.predictions.bias",
                                                      "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"};

/// Weights of the old vocabulary that would contradict the new one, and what a run needs to go on with the old model.
bool is_stale(const Path& file) {
  const std::string name = file.filename().string(), extension = file.extension().string();
  if (name.starts_with("pytorch_model") || name == "resume.safetensors" || name == "run.json") return true;
  constexpr std::array<std::string_view, 6> kForms = {".h5", ".msgpack", ".onnx", ".pt", ".pth", ".ckpt"};
  return std::find(kForms.begin(), kForms.end(), extension) != kForms.end();
}

std::set<std::string> weight_files(const ModelFiles& files) {
  if (files.has(ModelFiles::kWeights)) return {ModelFiles::kWeights};
  std::set<std::string> names;
  for (const auto& [tensor, file] : read_shard_index(files.path(ModelFiles::kWeightsIndex))) names.insert(file);
  return names;
}

void copy_plain(const Path& from, const Path& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  CLOZE_CHECK(!error, ErrorCode::kIo, "cannot copy {} to {}: {}", from.string(), to.string(), error.message());
}

void write_index(const ModelFiles& files, const Path& to, int64_t added_bytes) {
  Json index = files.read_json(ModelFiles::kWeightsIndex);
  if (index.contains("metadata") && index["metadata"].is_object() && index["metadata"].contains("total_size") &&
      index["metadata"]["total_size"].is_number_integer())
    index["metadata"]["total_size"] = index["metadata"]["total_size"].get<int64_t>() + added_bytes;
  write_file(to, dump_json(index));
}

/// Checks that the files are a checkpoint with word embeddings of at least first_row rows.
int64_t rows_of(const ModelFiles& files, const RowGrowth& growth) {
  const Weights weights(files.dir());
  const auto shape = weights.shape_of(kEmbeddings);
  CLOZE_CHECK(shape.has_value(), ErrorCode::kNotFound, "{} has no tensor {}: is it a BERT model?",
              weights.source().string(), kEmbeddings);
  CLOZE_CHECK(shape->size() == 2 && (*shape)[0] >= growth.first_row, ErrorCode::kShape,
              "{}: tensor {} has the shape {}, but the vocabulary has {} entries; do the files belong together?",
              weights.source().string(), kEmbeddings, *shape, growth.first_row);
  return std::max((*shape)[0], growth.first_row + static_cast<int64_t>(growth.sources.size()));
}

}  // namespace

GrownModel grow_model(const Path& from, const Path& to, const RowGrowth& growth, std::span<const std::string> skip) {
  const ModelFiles files = ModelFiles::open(from);
  Json config = files.read_json();
  GrownModel result;
  result.rows = rows_of(files, growth);
  config["vocab_size"] = result.rows;
  write_file(to / ModelFiles::kConfig, dump_json(config));

  const std::set<std::string> weights = weight_files(files);
  int64_t added_bytes = 0;
  for (const std::string& name : files.list()) {
    const bool rewritten = name == ModelFiles::kConfig || name == ModelFiles::kWeightsIndex;
    if (rewritten || std::find(skip.begin(), skip.end(), name) != skip.end()) continue;
    if (name == "second-encoder") {  // of joined features, which has a vocabulary of its own
      std::error_code error;
      std::filesystem::copy(files.path(name), to / name, std::filesystem::copy_options::recursive, error);
      CLOZE_CHECK(!error, ErrorCode::kIo, "cannot copy {}: {}", files.path(name).string(), error.message());
    } else if (is_stale(files.path(name)) || !std::filesystem::is_regular_file(files.path(name))) {
      result.not_copied.push_back(name);
    } else if (weights.contains(name) && !tensors_named(files.path(name), kGrowing).empty()) {
      const GrownFile grown = grow_rows(files.path(name), to / name, kGrowing, growth);
      result.tensors.insert(result.tensors.end(), grown.tensors.begin(), grown.tensors.end());
      added_bytes += grown.added_bytes;
    } else {
      copy_plain(files.path(name), to / name);
    }
  }
  if (files.has(ModelFiles::kWeightsIndex)) write_index(files, to / ModelFiles::kWeightsIndex, added_bytes);
  return result;
}

}  // namespace cloze
