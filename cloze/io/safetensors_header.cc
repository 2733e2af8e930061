#include "cloze/io/safetensors_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "cloze/base/error.h"
#include "cloze/io/json_scan.h"

namespace cloze {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little endian and is read as it is");

/// Bits of one element of the format's dtypes; 0 for a word that it does not know.
uint64_t dtype_bits(std::string_view dtype) {
  struct Row {
    std::string_view name;
    uint64_t bits;
  };
  static constexpr Row kRows[] = {{"F32", 32},    {"F16", 16},    {"BF16", 16},   {"F64", 64},    {"I64", 64},
                                  {"I32", 32},    {"I16", 16},    {"I8", 8},      {"U8", 8},      {"BOOL", 8},
                                  {"U16", 16},    {"U32", 32},    {"U64", 64},    {"F8_E5M2", 8}, {"F8_E4M3", 8},
                                  {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},      {"C64", 64}};
  for (const Row& row : kRows) {
    if (row.name == dtype) return row.bits;
  }
  return 0;
}

/// Fills a SafetensorsHeader from the events of its JSON; knows the schema, not the file's size.
class HeaderVisitor : public JsonVisitor {
 public:
  HeaderVisitor(std::string_view where, SafetensorsHeader& header) : where_(where), header_(header) {}

  void object_begins(const Keys& path) override {
    if (path.size() >= 2) refuse(path, "an object");
    if (path.size() == 1 && path[0] != kMetadata) {
      header_.tensors.push_back({.name = path[0], .dtype = {}, .shape = {}});
      has_shape_ = false;
      offsets_.clear();
    }
  }

  void object_ends(const Keys& path) override {
    if (path.size() != 1 || path[0] == kMetadata) return;
    StoredTensor& tensor = header_.tensors.back();
    const char* missing = tensor.dtype.empty() ? "dtype" : !has_shape_ ? "shape" : nullptr;
    CLOZE_CHECK(missing == nullptr, ErrorCode::kFormat, "{}: tensor {} has no \"{}\"", where_, quote_name(tensor.name),
                missing);
    CLOZE_CHECK(offsets_.size() == 2, ErrorCode::kFormat,
                "{}: tensor {} must have \"data_offsets\" of two numbers, found {}", where_, quote_name(tensor.name),
                offsets_.size());
    tensor.begin = offsets_[0];
    tensor.end = offsets_[1];
  }

  void array_begins(const Keys& path) override {
    if (path.size() != 2 || path[0] == kMetadata || (path[1] != "shape" && path[1] != "data_offsets")) {
      refuse(path, "an array");
    }
    if (path[1] == "shape") has_shape_ = true;
  }

  void scalar(const Keys& path, const JsonScalar& value) override {
    const bool metadata = path.size() == 2 && path[0] == kMetadata;
    if (path.size() == 3) return number(path, value);
    if ((!metadata && (path.size() != 2 || path[1] != "dtype")) || value.kind != JsonScalar::Kind::kString) {
      refuse(path, value.kind_name());
    }
    if (metadata) {
      header_.metadata.emplace(path[1], value.text);
      return;
    }
    CLOZE_CHECK(dtype_bits(value.text) != 0, ErrorCode::kFormat, "{}: tensor {} has the unknown dtype {}", where_,
                quote_name(path[0]), quote_name(value.text));
    header_.tensors.back().dtype = value.text;
  }

 private:
  static constexpr std::string_view kMetadata = "__metadata__";

  void number(const Keys& path, const JsonScalar& value) {
    CLOZE_CHECK(value.kind == JsonScalar::Kind::kUnsigned && value.number <= INT64_MAX, ErrorCode::kFormat,
                "{}: \"{}\" of tensor {} must hold integers from 0 to 2^63-1, found {}", where_, path[1],
                quote_name(path[0]), value.kind_name());
    if (path[1] == "shape")
      header_.tensors.back().shape.push_back(static_cast<int64_t>(value.number));
    else
      offsets_.push_back(value.number);
  }

  [[noreturn]] void refuse(const Keys& path, const char* found) const {
    const char* expected = path.empty()           ? "an object of tensors"
                           : path[0] == kMetadata ? "an object of strings"
                           : path.size() == 1     ? "an object (dtype, shape, data_offsets)"
                           : path[1] == "dtype"   ? "a string"
                           : path[1] == "shape"   ? "an array of integers"
                                                  : "an array of two integers";
    std::string at = "the header";
    if (!path.empty()) at = quote_name(path[0]);
    if (path.size() > 1) at += " member " + quote_name(path[1]);
    CLOZE_CHECK(path.size() < 2 || path[0] == kMetadata || path[1] == "dtype" || path[1] == "shape" ||
                    path[1] == "data_offsets",
                ErrorCode::kFormat, "{}: {} is not known; a tensor has dtype, shape and data_offsets", where_, at);
    fail(ErrorCode::kFormat, "{}: {} must be {}, found {}", where_, at, expected, found);
  }

  std::string_view where_;
  SafetensorsHeader& header_;
  bool has_shape_ = false;
  std::vector<uint64_t> offsets_;
};

/// What a file that is not safetensors probably is, from its first bytes; "" if nothing comes to mind.
std::string_view guess_format(std::string_view head) {
  if (head.starts_with("version https://git-lfs")) {
    return " (this is a Git LFS pointer: fetch the file itself with `git lfs pull`)";
  }
  if (head.starts_with("PK\x03\x04")) return " (this looks like a PyTorch zip file)";
  if (head.starts_with("\x89HDF")) return " (this looks like an HDF5 file)";
  if (head.starts_with("<!DOCTYPE") || head.starts_with("<html")) return " (this looks like a web page)";
  return "";
}

/// The header's JSON text, its length checked.
std::string_view header_text(std::span<const std::byte> bytes, std::string_view where) {
  CLOZE_CHECK(bytes.size() >= 8, ErrorCode::kFormat,
              "{}: {} bytes are too few for a safetensors file: truncated, or not safetensors", where, bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CLOZE_CHECK(length <= kMaxSafetensorsHeaderBytes, ErrorCode::kFormat,
              "{}: a header of {} bytes is announced, at most {} are allowed: not a safetensors file?{}", where, length,
              kMaxSafetensorsHeaderBytes, guess_format(text));
  CLOZE_CHECK(length <= bytes.size() - 8, ErrorCode::kFormat,
              "{}: a header of {} bytes is announced, but only {} bytes follow: truncated, or not safetensors{}", where,
              length, bytes.size() - 8, guess_format(text));
  const std::string_view header = text.substr(8, length);
  // The format says so; a JSON parser alone would also skip white space and a byte order mark.
  CLOZE_CHECK(header.starts_with('{'), ErrorCode::kFormat, "{}: the header must start with '{{'", where);
  return header;
}

/// Bits of a tensor's data by its shape. Errors: kFormat when the count passes 2^62 on the way.
uint64_t bits_of(const StoredTensor& tensor, std::string_view where) {
  constexpr uint64_t kLimit = uint64_t{1} << 62;
  uint64_t bits = dtype_bits(tensor.dtype);
  bool fits = true;
  for (const int64_t size : tensor.shape) {
    const auto factor = static_cast<uint64_t>(size);
    fits = fits && factor <= kLimit && (factor == 0 || bits <= kLimit / factor);
    bits *= factor;
  }
  CLOZE_CHECK(fits, ErrorCode::kFormat, "{}: tensor {} has an impossible shape: its size overflows", where,
              quote_name(tensor.name));
  return bits;
}

void check_range(const StoredTensor& tensor, uint64_t data_bytes, std::string_view where) {
  CLOZE_CHECK(tensor.begin <= tensor.end, ErrorCode::kFormat, "{}: tensor {} ends at byte {}, before it begins at {}",
              where, quote_name(tensor.name), tensor.end, tensor.begin);
  CLOZE_CHECK(tensor.end <= data_bytes, ErrorCode::kFormat,
              "{}: tensor {} lies at bytes {} to {}, but the file has only {} bytes of data: truncated?", where,
              quote_name(tensor.name), tensor.begin, tensor.end, data_bytes);
  const uint64_t bits = bits_of(tensor, where), held = tensor.end - tensor.begin;
  CLOZE_CHECK(bits % 8 == 0 && bits / 8 == held, ErrorCode::kFormat,
              "{}: tensor {} of {} needs {} bytes by its shape, but its range holds {}", where, quote_name(tensor.name),
              tensor.dtype, (bits + 7) / 8, held);
}

/// Every byte of the data belongs to exactly one tensor: nothing is hidden between them, nothing is shared.
void check_cover(const std::vector<StoredTensor>& tensors, uint64_t data_bytes, std::string_view where) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(tensors[i].begin, tensors[i].end); });
  uint64_t covered = 0;
  const StoredTensor* last = nullptr;
  for (const size_t i : order) {
    const StoredTensor& tensor = tensors[i];
    CLOZE_CHECK(tensor.begin >= covered, ErrorCode::kFormat,
                "{}: tensors {} and {} overlap: bytes {} to {}, and {} to {}", where, quote_name(last->name),
                quote_name(tensor.name), last->begin, last->end, tensor.begin, tensor.end);
    CLOZE_CHECK(tensor.begin == covered, ErrorCode::kFormat,
                "{}: a hole: bytes {} to {} before tensor {} belong to no tensor", where, covered, tensor.begin,
                quote_name(tensor.name));
    covered = tensor.end;
    last = &tensor;
  }
  CLOZE_CHECK(covered == data_bytes, ErrorCode::kFormat,
              "{}: a hole: the last {} bytes (from {} of {}) belong to no tensor", where, data_bytes - covered, covered,
              data_bytes);
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> bytes, std::string_view where) {
  const std::string_view text = header_text(bytes, where);
  SafetensorsHeader header;
  header.data_begin = 8 + text.size();
  HeaderVisitor visitor(where, header);
  scan_json(text, where, 3, visitor);
  const uint64_t data_bytes = bytes.size() - header.data_begin;
  for (const StoredTensor& tensor : header.tensors) check_range(tensor, data_bytes, where);
  check_cover(header.tensors, data_bytes, where);
  return header;
}

}  // namespace cloze
