#include "cloze/io/weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
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

/// [M,K] I8 times its scales.
Tensor expand(const StoredInt8& stored) {
  const int64_t M = stored.values.shape()[0], K = stored.values.shape()[1];
  const Tensor floats(stored.values.shape(), DType::kF32);
  for (int64_t m = 0; m < M; ++m) {
    const float scale = stored.scales.data<float>()[m];
    const int8_t* from = stored.values.data<int8_t>() + m * K;
    float* to = floats.data<float>() + m * K;
    for (int64_t k = 0; k < K; ++k) to[k] = scale * static_cast<float>(from[k]);
  }
  return floats;
}

}  // namespace

Weights::Weights(const Path& dir) {
  std::error_code error;
  if (dir.extension() == ".safetensors" && std::filesystem::is_regular_file(dir, error)) {
    open_file(dir);
    pair_scales();
    return;
  }
  const ModelFiles files = ModelFiles::open(dir);
  if (files.has(ModelFiles::kWeights)) {
    open_file(files.path(ModelFiles::kWeights));
    pair_scales();
    return;
  }
  if (!files.has(ModelFiles::kWeightsIndex)) fail_without_weights(files);
  open_shards(dir);
  pair_scales();
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

const Weights::Entry* Weights::scales_of(const Entry& entry) const {
  if (entry.stored->dtype != "I8" || !entry.canonical.ends_with(".weight")) return nullptr;
  const auto it = by_canonical_.find(entry.canonical + "_scale");
  return it == by_canonical_.end() ? nullptr : &entries_[it->second];
}

void Weights::pair_scales() {
  for (const Entry& entry : entries_)
    if (const Entry* scales = scales_of(entry); scales != nullptr)
      entries_[static_cast<size_t>(scales - entries_.data())].scales = true;
}

bool Weights::is_int8(std::string_view name) const {
  const Entry* entry = lookup(name);
  return entry != nullptr && scales_of(*entry) != nullptr;
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
  for (const Entry& entry : entries_)
    if (!entry.scales) names.push_back(entry.stored->name);
  return names;
}

std::optional<Tensor> Weights::find(std::string_view name) {
  const Entry* entry = lookup(name);
  if (entry == nullptr) return std::nullopt;
  if (scales_of(*entry) != nullptr) return expand(read_int8(*entry));
  const Tensor tensor = files_[entry->file].tensor(*entry->stored);
  mark_read(*entry);
  return is_float(tensor.dtype()) ? to_float(tensor, DType::kF32) : tensor;
}

const Weights::Entry& Weights::require(std::string_view name, const Shape& shape) const {
  const Entry* entry = lookup(name);
  CLOZE_CHECK(entry != nullptr, ErrorCode::kNotFound, "{}: no tensor {} (expected shape {}) among its {}",
              source_.string(), quote_name(name), shape, entries_.size());
  const std::vector<int64_t>& dims = entry->stored->shape;
  CLOZE_CHECK(std::ranges::equal(dims, shape.dims()), ErrorCode::kShape, "{}: tensor {} has shape [{}], expected {}",
              files_[entry->file].path().string(), quote_name(entry->stored->name), fmt::join(dims, ", "), shape);
  return *entry;
}

Tensor Weights::get(std::string_view name, const Shape& shape) {
  const Entry& entry = require(name, shape);
  const Tensor tensor = *find(name);
  CLOZE_CHECK(tensor.dtype() == DType::kF32, ErrorCode::kUnsupported,
              "{}: tensor {} has dtype {}, expected floats (F32 F64 F16 BF16), or I8 with {}",
              files_[entry.file].path().string(), quote_name(entry.stored->name), entry.stored->dtype,
              quote_name(entry.stored->name + "_scale"));
  return tensor;
}

StoredInt8 Weights::get_int8(std::string_view name, const Shape& shape) {
  const Entry& entry = require(name, shape);
  CLOZE_CHECK(scales_of(entry) != nullptr, ErrorCode::kUnsupported, "{}: tensor {} is no weight of 8 bits",
              files_[entry.file].path().string(), quote_name(entry.stored->name));
  return read_int8(entry);
}

StoredInt8 Weights::read_int8(const Entry& entry) {
  const Entry& scales = *scales_of(entry);
  const std::vector<int64_t>&dims = entry.stored->shape, &of_scales = scales.stored->shape;
  const std::string where =
      fmt::format("{}: tensor {}", files_[scales.file].path().string(), quote_name(scales.stored->name));
  CLOZE_CHECK(dims.size() == 2, ErrorCode::kUnsupported, "{} belongs to one of shape [{}]; 8 bits are for [M,K] alone",
              where, fmt::join(dims, ", "));
  CLOZE_CHECK(!of_scales.empty() && of_scales[0] == dims[0] &&
                  (of_scales.size() == 1 || (of_scales.size() == 2 && of_scales[1] == 1)),
              ErrorCode::kShape, "{} has shape [{}], expected [{}, 1]: one for each row", where,
              fmt::join(of_scales, ", "), dims[0]);
  const Tensor stored = files_[scales.file].tensor(*scales.stored);
  CLOZE_CHECK(is_float(stored.dtype()), ErrorCode::kUnsupported, "{} has dtype {}, expected floats", where,
              scales.stored->dtype);
  StoredInt8 result{files_[entry.file].tensor(*entry.stored), to_float(stored, DType::kF32).reshape({dims[0]})};
  for (const float scale : result.scales.values<float>())
    CLOZE_CHECK(std::isfinite(scale) && scale >= 0, ErrorCode::kValue, "{} holds {}; a scale is a number of at least 0",
                where, scale);
  mark_read(entry);
  mark_read(scales);
  return result;
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
