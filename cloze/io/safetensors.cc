#include "cloze/io/safetensors.h"

#include <cstring>
#include <optional>

#include "cloze/base/error.h"
#include "cloze/io/json_scan.h"

namespace cloze {
namespace {

std::optional<DType> known_dtype(std::string_view name) {
  for (const DType dtype :
       {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI32, DType::kI64, DType::kI8, DType::kU8,
        DType::kBool}) {
    if (name == dtype_name(dtype)) return dtype;
  }
  return std::nullopt;
}

/// Collects "weight_map" and passes over the rest ("metadata" with its total_size).
class IndexVisitor : public JsonVisitor {
 public:
  IndexVisitor(std::string_view where, ShardMap& map) : where_(where), map_(map) {}

  void object_begins(const Keys& path) override {
    check_place(path, "an object");
    if (is_map(path) && path.size() == 1) found_ = true;
  }
  void object_ends(const Keys& path) override {
    CLOZE_CHECK(!path.empty() || found_, ErrorCode::kFormat, "{}: \"weight_map\" (tensor name to file name) is missing",
                where_);
  }
  void array_begins(const Keys& path) override {
    CLOZE_CHECK(!path.empty(), ErrorCode::kFormat, "{}: expected an object, found an array", where_);
    CLOZE_CHECK(!is_map(path) || path.size() > 1, ErrorCode::kFormat,
                "{}: \"weight_map\" must be an object, found an array", where_);
    check_place(path, "an array");
  }
  void scalar(const Keys& path, const JsonScalar& value) override {
    CLOZE_CHECK(!path.empty(), ErrorCode::kFormat, "{}: expected an object, found {}", where_, value.kind_name());
    if (!is_map(path)) return;
    CLOZE_CHECK(path.size() == 2, ErrorCode::kFormat, "{}: \"weight_map\" must be an object, found {}", where_,
                value.kind_name());
    CLOZE_CHECK(value.kind == JsonScalar::Kind::kString, ErrorCode::kFormat,
                "{}: the file of tensor {} must be a string, found {}", where_, quote_name(path[1]), value.kind_name());
    // A file name from a downloaded index must not reach outside of its folder.
    const std::string_view name = value.text;
    CLOZE_CHECK(!name.empty() && name != "." && name != ".." &&
                    name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos,
                ErrorCode::kFormat, "{}: tensor {} is said to be in {}, which is not a plain file name", where_,
                quote_name(path[1]), quote_name(name));
    map_.emplace_back(path[1], name);
  }

 private:
  static bool is_map(const Keys& path) { return !path.empty() && path[0] == "weight_map"; }
  void check_place(const Keys& path, const char* found) const {
    CLOZE_CHECK(!is_map(path) || path.size() == 1, ErrorCode::kFormat,
                "{}: the file of tensor {} must be a string, found {}", where_, quote_name(path.back()), found);
  }

  std::string_view where_;
  ShardMap& map_;
  bool found_ = false;
};

}  // namespace

SafetensorsFile::SafetensorsFile(const Path& path)
    : file_(MappedFile::open(path)), header_(parse_safetensors_header(file_->bytes(), path.string())) {
  by_name_.reserve(header_.tensors.size());
  for (size_t i = 0; i < header_.tensors.size(); ++i) by_name_.emplace(header_.tensors[i].name, i);
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &header_.tensors[it->second];
}

Tensor SafetensorsFile::tensor(const StoredTensor& stored) const {
  const std::optional<DType> dtype = known_dtype(stored.dtype);
  CLOZE_CHECK(dtype.has_value(), ErrorCode::kUnsupported,
              "{}: tensor {} has dtype {}, which Cloze cannot use; it knows F32 F64 F16 BF16 I32 I64 I8 U8 BOOL",
              path().string(), quote_name(stored.name), stored.dtype);
  CLOZE_CHECK(stored.shape.size() <= Shape::kMaxRank, ErrorCode::kUnsupported,
              "{}: tensor {} has {} dimensions; Cloze uses at most {}", path().string(), quote_name(stored.name),
              stored.shape.size(), Shape::kMaxRank);
  const Shape shape{std::span<const int64_t>(stored.shape)};
  std::byte* data = file_->bytes().data() + header_.data_begin + stored.begin;
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(dtype_bytes(*dtype)) == 0) {
    return Tensor::view(shape, *dtype, data, file_);
  }
  Tensor copy(shape, *dtype);
  if (copy.bytes() > 0) std::memcpy(copy.raw(), data, static_cast<size_t>(copy.bytes()));
  return copy;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const StoredTensor* stored = find(name);
  CLOZE_CHECK(stored != nullptr, ErrorCode::kNotFound, "{}: no tensor {} among its {}", path().string(),
              quote_name(name), header_.tensors.size());
  return tensor(*stored);
}

ShardMap read_shard_index(const Path& path) {
  const std::string where = path.string();
  const std::string text = read_file(path, kMaxSafetensorsHeaderBytes);
  ShardMap map;
  IndexVisitor visitor(where, map);
  scan_json(text, where, 16, visitor);
  return map;
}

}  // namespace cloze
