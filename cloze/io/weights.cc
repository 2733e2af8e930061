#include "cloze/io/weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "cloze/base/error.h"
#include "cloze/io/json_scan.h"
#include "cloze/io/model_dir.h"

namespace cloze {
namespace {

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16 || dtype == DType::kBF16;
}

/// True for checkpoint files of formats that Cloze cannot read yet.
bool is_foreign_checkpoint(std::string_view name) {
  return (name.starts_with("pytorch_model") && name.find(".bin") != std::string_view::npos) || name.ends_with(".pt") ||
         name.ends_with(".pth") || name.ends_with(".ckpt") || name.ends_with(".ckpt.index") || name == "tf_model.h5" ||
         name == "flax_model.msgpack" || name.ends_with(".onnx");
}

[[noreturn]] void fail_without_weights(const ModelFiles& files) {
  const std::vector<std::string> present = files.list();
  std::vector<std::string> foreign;
  std::ranges::copy_if(present, std::back_inserter(foreign), is_foreign_checkpoint);
  const std::string looked = fmt::format("no weights in {}: looked for {} and {}", files.dir().string(),
                                         ModelFiles::kWeights, ModelFiles::kWeightsIndex);
  if (foreign.empty()) {
    fail(ErrorCode::kNotFound, "{}; the folder holds {}", looked, present.empty() ? "nothing" : shorten_names(present));
  }
  fail(ErrorCode::kNotFound,
       "{}; it has {}, a format that Cloze does not read yet: convert it to safetensors (in Python: "
       "AutoModel.from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True))",
       looked, shorten_names(foreign));
}

}  // namespace

Weights::Weights(const Path& dir) {
  std::error_code error;
  if (dir.extension() == ".safetensors" && std::filesystem::is_regular_file(dir, error)) {
    open_file(dir);
    return;
  }
  const ModelFiles files = ModelFiles::open(dir);
  if (files.has(ModelFiles::kWeights)) {
    open_file(files.path(ModelFiles::kWeights));
    return;
  }
  if (!files.has(ModelFiles::kWeightsIndex)) fail_without_weights(files);
  open_shards(dir);
}

void Weights::open_file(const Path& path) {
  source_ = path;
  files_.emplace_back(path);
  for (const StoredTensor& stored : files_[0].tensors()) add(0, stored);
}

void Weights::open_shards(const Path& dir) {
  source_ = dir / ModelFiles::kWeightsIndex;
  const ShardMap map = read_shard_index(source_);
  std::unordered_map<std::string, size_t> shards;
  for (const auto& [tensor, file] : map) {
    if (!shards.emplace(file, files_.size()).second) continue;
    const Path path = dir / file;
    std::error_code error;  // asked without exceptions: a name may be too long for the system
    CLOZE_CHECK(std::filesystem::exists(path, error), ErrorCode::kNotFound,
                "{}: the file {} that it names (for tensor {}) is not there", source_.string(), quote_name(file),
                quote_name(tensor));
    files_.emplace_back(path);
  }
  std::vector<std::unordered_set<std::string_view>> listed(files_.size());
  for (const auto& [tensor, file] : map) {
    const size_t shard = shards.at(file);
    const StoredTensor* stored = files_[shard].find(tensor);
    CLOZE_CHECK(stored != nullptr, ErrorCode::kFormat, "{}: tensor {} is said to be in {}, which does not hold it",
                source_.string(), quote_name(tensor), quote_name(file));
    add(shard, *stored);
    listed[shard].insert(stored->name);
  }
  for (size_t shard = 0; shard < files_.size(); ++shard) {
    for (const StoredTensor& stored : files_[shard].tensors()) {
      if (!listed[shard].contains(stored.name)) unlisted_.push_back(stored.name);
    }
  }
}

void Weights::add(size_t file, const StoredTensor& stored) {
  std::string canonical = canonical_bert_name(stored.name);
  const auto [it, fresh] = by_canonical_.emplace(canonical, entries_.size());
  CLOZE_CHECK(fresh, ErrorCode::kFormat, "{}: tensors {} and {} are two spellings of {}; remove one", source_.string(),
              quote_name(entries_[it->second].stored->name), quote_name(stored.name), quote_name(canonical));
  entries_.push_back({.file = file, .stored = &stored, .canonical = std::move(canonical), .read = false});
}

const Weights::Entry* Weights::lookup(std::string_view name) const {
  const auto it = by_canonical_.find(canonical_bert_name(name));
  return it == by_canonical_.end() ? nullptr : &entries_[it->second];
}

const Path& Weights::file_of(std::string_view name) const {
  const Entry* entry = lookup(name);
  return entry == nullptr ? source_ : files_[entry->file].path();
}

DType Weights::stored_type(std::string_view name) const {
  const Entry* entry = lookup(name);
  if (entry != nullptr && entry->stored->dtype == "F16") return DType::kF16;
  return entry != nullptr && entry->stored->dtype == "BF16" ? DType::kBF16 : DType::kF32;
}

std::optional<Shape> Weights::shape_of(std::string_view name) const {
  const Entry* entry = lookup(name);
  if (entry == nullptr) return std::nullopt;
  const std::vector<int64_t>& dims = entry->stored->shape;
  CLOZE_CHECK(dims.size() <= Shape::kMaxRank, ErrorCode::kUnsupported,
              "{}: tensor {} has {} dimensions; Cloze uses at most {}", files_[entry->file].path().string(),
              quote_name(entry->stored->name), dims.size(), Shape::kMaxRank);
  return Shape(std::span<const int64_t>(dims));
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.stored->name);
  return names;
}

std::optional<Tensor> Weights::find(std::string_view name) {
  const Entry* entry = lookup(name);
  if (entry == nullptr) return std::nullopt;
  const Tensor tensor = files_[entry->file].tensor(*entry->stored);
  entries_[static_cast<size_t>(entry - entries_.data())].read = true;
  return is_float(tensor.dtype()) ? to_float(tensor, DType::kF32) : tensor;
}

Tensor Weights::get(std::string_view name, const Shape& shape) {
  const Entry* entry = lookup(name);
  CLOZE_CHECK(entry != nullptr, ErrorCode::kNotFound, "{}: no tensor {} (expected shape {}) among its {}",
              source_.string(), quote_name(name), shape, entries_.size());
  const std::string where =
      fmt::format("{}: tensor {}", files_[entry->file].path().string(), quote_name(entry->stored->name));
  const std::vector<int64_t>& dims = entry->stored->shape;
  CLOZE_CHECK(std::ranges::equal(dims, shape.dims()), ErrorCode::kShape, "{} has shape [{}], expected {}", where,
              fmt::join(dims, ", "), shape);
  const Tensor tensor = *find(name);
  CLOZE_CHECK(tensor.dtype() == DType::kF32, ErrorCode::kUnsupported,
              "{} has dtype {}, expected floats (F32 F64 F16 BF16)", where, entry->stored->dtype);
  return tensor;
}

LoadReport Weights::report() const {
  LoadReport report;
  for (const Entry& entry : entries_) {
    std::vector<std::string>& list = entry.read                                ? report.read
                                     : is_redundant_bert_name(entry.canonical) ? report.ignored
                                                                               : report.unused;
    list.push_back(entry.stored->name);
  }
  report.unused.insert(report.unused.end(), unlisted_.begin(), unlisted_.end());
  return report;
}

}  // namespace cloze
