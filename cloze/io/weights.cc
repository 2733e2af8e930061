#include "cloze/io/weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
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

constexpr std::string_view kSparseValues = ".compressed";
constexpr std::string_view kWeightScale = "weight_scale", kInputScale = "input_scale", kInputZero = "input_zero_point";
constexpr int64_t kMostColumns = std::numeric_limits<int32_t>::max();

/// With its zeros.
Tensor expand(const StoredSparse& stored, int64_t columns) {
  const int64_t M = stored.bits.shape()[0], bytes = stored.bits.shape()[1];
  const Tensor floats = Tensor::zeros({M, columns}, DType::kF32);
  const float* next = stored.values.data<float>();
  for (int64_t m = 0; m < M; ++m)
    for (int64_t b = 0; b < bytes; ++b)
      for (unsigned left = stored.bits.data<uint8_t>()[m * bytes + b]; left != 0; left &= left - 1)
        floats.data<float>()[m * columns + 8 * b + std::countr_zero(left)] = *next++;
  return floats;
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
    return;
  }
  const ModelFiles files = ModelFiles::open(dir);
  if (files.has(ModelFiles::kWeights)) {
    open_file(files.path(ModelFiles::kWeights));
    return;
  }
  if (!files.has(ModelFiles::kWeightsIndex)) fail_without_weights(files);
  open_shards(dir);
  pair_parts();
}

void Weights::open_file(const Path& path) {
  source_ = path;
  files_.emplace_back(path);
  for (const StoredTensor& stored : files_[0].tensors()) add(0, stored);
  pair_parts();
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
  if (entry.stored->dtype != "I8" || entry.bits != nullptr || !entry.canonical.ends_with(".weight")) return nullptr;
  return beside(entry, kWeightScale);
}

const Weights::Entry* Weights::beside(const Entry& entry, std::string_view rest) const {
  const std::string_view name = entry.canonical;
  const auto it = by_canonical_.find(std::string(name.substr(0, name.rfind('.') + 1)) + std::string(rest));
  return it == by_canonical_.end() ? nullptr : &entries_[it->second];
}

void Weights::pair_parts() {
  for (const Entry& entry : entries_)
    if (scales_of(entry) != nullptr)
      for (const std::string_view part : {kWeightScale, kInputScale, kInputZero})
        if (const Entry* found = beside(entry, part); found != nullptr)
          entries_[static_cast<size_t>(found - entries_.data())].part = true;
  const size_t stored = entries_.size();  // what is made up comes behind
  for (size_t i = 0; i < stored; ++i)
    if (entries_[i].canonical.ends_with(".weight.compressed")) make_up(i);
}

void Weights::make_up(size_t values) {
  const std::string name = entries_[values].stored->name, whole = name.substr(0, name.size() - kSparseValues.size());
  const auto part = [&](std::string_view suffix, std::string_view dtype, size_t rank) -> Entry& {
    const Entry* found = lookup(whole + std::string(suffix));
    CLOZE_CHECK(found != nullptr, ErrorCode::kFormat, "{}: tensor {} has no {} beside it", source_.string(),
                quote_name(name), quote_name(whole + std::string(suffix)));
    CLOZE_CHECK(found->stored->dtype == dtype && found->stored->shape.size() == rank, ErrorCode::kFormat,
                "{}: tensor {} is {} of shape [{}], expected {} of {} dimension(s)",
                files_[found->file].path().string(), quote_name(found->stored->name), found->stored->dtype,
                fmt::join(found->stored->shape, ", "), dtype, rank);
    Entry& entry = entries_[static_cast<size_t>(found - entries_.data())];
    entry.part = true;
    return entry;
  };
  entries_[values].part = true;
  const Entry &bits = part(".bitmask", "U8", 2), &shape = part(".shape", "I64", 1);
  part(".row_offsets", "I64", 1);
  CLOZE_CHECK(shape.stored->shape[0] == 2, ErrorCode::kFormat, "{}: tensor {} has {} numbers, expected 2: [M, K]",
              files_[shape.file].path().string(), quote_name(shape.stored->name), shape.stored->shape[0]);
  const Tensor stored_shape = files_[shape.file].tensor(*shape.stored);
  const auto sizes = stored_shape.values<int64_t>();
  const std::vector<int64_t>& packed = bits.stored->shape;
  CLOZE_CHECK(sizes[0] == packed[0] && sizes[1] >= 1 && sizes[1] <= kMostColumns && packed[1] == (sizes[1] + 7) / 8,
              ErrorCode::kFormat, "{}: tensor {} says [{}], but {} has shape [{}]: a bit for each number",
              files_[shape.file].path().string(), quote_name(shape.stored->name), fmt::join(sizes, ", "),
              quote_name(bits.stored->name), fmt::join(packed, ", "));
  const StoredTensor& made =
      made_up_.emplace_back(StoredTensor{whole, entries_[values].stored->dtype, {sizes[0], sizes[1]}});
  const size_t file = entries_[values].file, file_of_bits = bits.file;
  const StoredTensor *of_values = entries_[values].stored, *of_bits = bits.stored;
  entries_[values].made_up = entries_.size();
  add(file, made);
  Entry& entry = entries_.back();
  entry.values = of_values;
  entry.bits = of_bits;
  entry.file_of_bits = file_of_bits;
}

bool Weights::is_sparse(std::string_view name) const {
  const Entry* entry = lookup(name);
  return entry != nullptr && entry->bits != nullptr;
}

bool Weights::is_int8(std::string_view name) const {
  const Entry* entry = lookup(name);
  return entry != nullptr && scales_of(*entry) != nullptr;
}

std::vector<Path> Weights::files() const {
  std::vector<Path> paths;
  for (const SafetensorsFile& file : files_) paths.push_back(file.path());
  return paths;
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
  for (const Entry& entry : entries_) {
    if (entry.made_up != 0) names.push_back(entries_[entry.made_up].stored->name);
    if (!entry.part && entry.bits == nullptr) names.push_back(entry.stored->name);
  }
  return names;
}

std::optional<Tensor> Weights::find(std::string_view name) {
  const Entry* entry = lookup(name);
  if (entry == nullptr) return std::nullopt;
  if (scales_of(*entry) != nullptr) return expand(read_int8(*entry));
  if (entry->bits != nullptr) return expand(read_sparse(*entry), entry->stored->shape[1]);
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
  result.inputs = read_inputs(entry);
  mark_read(entry);
  mark_read(scales);
  return result;
}

std::optional<StoredInputs> Weights::read_inputs(const Entry& entry) {
  const Entry *scale = beside(entry, kInputScale), *zero = beside(entry, kInputZero);
  if (scale == nullptr) return std::nullopt;
  const auto one = [&](const Entry& part, const char* kind) {
    const Tensor tensor = files_[part.file].tensor(*part.stored);
    CLOZE_CHECK(tensor.elements() == 1 && (is_float(tensor.dtype()) || tensor.dtype() == DType::kI8) &&
                    is_float(tensor.dtype()) == (&part == scale),
                ErrorCode::kFormat, "{}: tensor {} is {} of shape [{}], expected one {}",
                files_[part.file].path().string(), quote_name(part.stored->name), part.stored->dtype,
                fmt::join(part.stored->shape, ", "), kind);
    mark_read(part);
    return tensor;
  };
  StoredInputs inputs{to_float(one(*scale, "float"), DType::kF32).reshape({1}).data<float>()[0], 0};
  CLOZE_CHECK(std::isfinite(inputs.scale) && inputs.scale >= 0, ErrorCode::kValue,
              "{}: tensor {} holds {}; a scale is a number of at least 0", files_[scale->file].path().string(),
              quote_name(scale->stored->name), inputs.scale);
  if (zero != nullptr) inputs.zero = one(*zero, "I8").reshape({1}).data<int8_t>()[0];
  return inputs;
}

StoredSparse Weights::get_sparse(std::string_view name, const Shape& shape) {
  const Entry& entry = require(name, shape);
  CLOZE_CHECK(entry.bits != nullptr, ErrorCode::kUnsupported, "{}: tensor {} is not stored without its zeros",
              files_[entry.file].path().string(), quote_name(entry.stored->name));
  return read_sparse(entry);
}

StoredSparse Weights::read_sparse(const Entry& entry) {
  const std::string where =
      fmt::format("{}: tensor {}", files_[entry.file].path().string(), quote_name(entry.values->name));
  const Tensor values = files_[entry.file].tensor(*entry.values);
  CLOZE_CHECK(is_float(values.dtype()) && values.shape().rank() == 1, ErrorCode::kUnsupported,
              "{} is {} of shape [{}], expected floats of one dimension", where, entry.values->dtype,
              fmt::join(entry.values->shape, ", "));
  StoredSparse result{files_[entry.file_of_bits].tensor(*entry.bits), to_float(values, DType::kF32)};
  int64_t count = 0, beyond = 0;
  const int64_t bytes = result.bits.shape()[1], used = entry.stored->shape[1] % 8;
  const auto bits = result.bits.values<uint8_t>();
  for (const uint8_t byte : bits) count += std::popcount(byte);
  if (used != 0)
    for (size_t last = static_cast<size_t>(bytes) - 1; last < bits.size(); last += static_cast<size_t>(bytes))
      beyond += bits[last] >> used;
  CLOZE_CHECK(count == values.elements() && beyond == 0, ErrorCode::kValue, "{} has {} numbers, but {} has {} bits{}",
              where, values.elements(), quote_name(entry.bits->name), count,
              beyond == 0 ? "" : ", some of them beyond the end of a row");
  mark_read(entry);
  for (const std::string_view suffix :
       {kSparseValues, std::string_view(".bitmask"), std::string_view(".shape"), std::string_view(".row_offsets")})
    mark_read(*lookup(entry.canonical + std::string(suffix)));
  return result;
}

LoadReport Weights::report() const {
  LoadReport report;
  for (const Entry& entry : entries_) {
    if (entry.bits != nullptr) continue;  // its parts stand for it, which are in the file
    std::vector<std::string>& list = entry.read                                ? report.read
                                     : is_redundant_bert_name(entry.canonical) ? report.ignored
                                                                               : report.unused;
    list.push_back(entry.stored->name);
  }
  report.unused.insert(report.unused.end(), unlisted_.begin(), unlisted_.end());
  return report;
}

}  // namespace cloze
