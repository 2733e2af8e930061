#include "cloze/io/grow_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/io/bert_names.h"
#include "cloze/io/json_scan.h"
#include "cloze/io/safetensors_header.h"

namespace cloze {
namespace {

uint16_t half_from(double value) {
  const unsigned sign = std::signbit(value) ? 0x8000u : 0;
  const double size = std::fabs(value);
  if (std::isnan(size)) return 0x7E00;
  if (std::isinf(size)) return static_cast<uint16_t>(sign | 0x7C00);
  int exponent = 0;
  std::frexp(size, &exponent);
  int unit = std::max(exponent - 11, -24);  // 11 significant bits; 2^-24 is the least subnormal
  unsigned digits = static_cast<unsigned>(std::nearbyint(std::ldexp(size, -unit)));
  if (digits < 1024) return static_cast<uint16_t>(sign | digits);
  if (digits == 2048) {
    digits = 1024;
    ++unit;
  }
  const unsigned field = static_cast<unsigned>(unit + 25);
  return static_cast<uint16_t>(field >= 31 ? sign | 0x7C00 : sign | field << 10 | (digits - 1024));
}

double half_to(uint16_t bits) {
  const int field = bits >> 10 & 31, digits = bits & 1023;
  const double size = field == 31  ? (digits == 0 ? HUGE_VAL : std::nan(""))
                      : field == 0 ? std::ldexp(digits, -24)
                                   : std::ldexp(digits + 1024, field - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

uint16_t bfloat_from(double value) {
  const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/// Elements of one float dtype.
struct Format {
  const char* dtype;
  size_t bytes;
  double (*load)(const std::byte*);
  void (*store)(std::byte*, double);
};

template <class T>
T loaded(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void stored(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

constexpr Format kFormats[] = {
    {"F64", 8, [](const std::byte* p) { return loaded<double>(p); }, [](std::byte* p, double v) { stored(p, v); }},
    {"F32", 4, [](const std::byte* p) { return static_cast<double>(loaded<float>(p)); },
     [](std::byte* p, double v) { stored(p, static_cast<float>(v)); }},
    {"F16", 2, [](const std::byte* p) { return half_to(loaded<uint16_t>(p)); },
     [](std::byte* p, double v) { stored(p, half_from(v)); }},
    {"BF16", 2,
     [](const std::byte* p) {
       return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(loaded<uint16_t>(p)) << 16));
     },
     [](std::byte* p, double v) { stored(p, bfloat_from(v)); }},
};

bool is_named(const StoredTensor& tensor, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), canonical_bert_name(tensor.name)) != names.end();
}

const Format& format_of(const StoredTensor& tensor, const RowGrowth& growth, const Path& file) {
  CLOZE_CHECK(!tensor.shape.empty() && tensor.shape[0] >= growth.first_row, ErrorCode::kShape,
              "{}: tensor {} has {} rows, but the vocabulary has {} entries", file.string(), quote_name(tensor.name),
              tensor.shape.empty() ? 0 : tensor.shape[0], growth.first_row);
  for (const Format& format : kFormats)
    if (tensor.dtype == format.dtype) return format;
  fail(ErrorCode::kUnsupported, "{}: tensor {} has the dtype {}; new rows can be made of F64, F32, F16 and BF16",
       file.string(), quote_name(tensor.name), tensor.dtype);
}

/// The new rows, one after another.
std::vector<std::byte> new_rows(std::span<const std::byte> old, size_t width, const Format& format,
                                const RowGrowth& growth) {
  std::vector<std::byte> rows(growth.sources.size() * width * format.bytes);
  std::byte* out = rows.data();
  for (const std::vector<int32_t>& sources : growth.sources) {
    for (size_t column = 0; column < width; ++column, out += format.bytes) {
      double sum = 0;
      for (const int32_t row : sources)
        sum += format.load(old.data() + (static_cast<size_t>(row) * width + column) * format.bytes);
      format.store(out, sum / static_cast<double>(sources.size()));
    }
  }
  return rows;
}

/// What one tensor of the new file consists of.
struct Output {
  StoredTensor tensor;                       ///< shape and place in the new file
  std::span<const std::byte> before, after;  ///< old bytes around the new ones
  std::vector<std::byte> rows;
};

Output output_of(const StoredTensor& tensor, std::span<const std::byte> old, const RowGrowth* growth,
                 const Path& file) {
  Output out{tensor, old, {}, {}};
  if (growth == nullptr) return out;
  const Format& format = format_of(tensor, *growth, file);
  size_t width = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) width *= static_cast<size_t>(tensor.shape[i]);
  out.rows = new_rows(old, width, format, *growth);
  const int64_t end = growth->first_row + static_cast<int64_t>(growth->sources.size());
  const auto bytes_to = [&](int64_t row) {
    return static_cast<size_t>(std::min(row, tensor.shape[0])) * width * format.bytes;
  };
  out.before = old.first(bytes_to(growth->first_row));
  out.after = old.subspan(bytes_to(end));
  out.tensor.shape[0] = std::max(tensor.shape[0], end);
  return out;
}

std::string grown_header_json(const std::map<std::string, std::string>& metadata, const std::vector<Output>& outputs) {
  JsonLine line;
  line.begin_object();
  if (!metadata.empty()) {
    line.key("__metadata__").begin_object();
    for (const auto& [key, value] : metadata) line.member(key, value);
    line.end_object();
  }
  int64_t at = 0;
  for (const Output& out : outputs) {
    const int64_t end = at + static_cast<int64_t>(out.before.size() + out.rows.size() + out.after.size());
    line.key(out.tensor.name).begin_object().member("dtype", out.tensor.dtype).key("shape").begin_array();
    for (const int64_t size : out.tensor.shape) line.value(size);
    line.end_array().key("data_offsets").begin_array().value(at).value(end).end_array().end_object();
    at = end;
  }
  std::string text = line.end_object().take();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data starts aligned
  return text;
}

size_t element_bytes(const StoredTensor& tensor) {
  size_t elements = 1;
  for (const int64_t size : tensor.shape) elements *= static_cast<size_t>(size);
  return elements == 0 ? 0 : (tensor.end - tensor.begin) / elements;
}

}  // namespace

std::vector<std::string> tensors_named(const Path& file, std::span<const std::string_view> names) {
  const auto mapped = MappedFile::open(file);
  std::vector<std::string> found;
  for (const StoredTensor& tensor : parse_safetensors_header(mapped->bytes(), file.string()).tensors)
    if (is_named(tensor, names)) found.push_back(tensor.name);
  return found;
}

GrownFile grow_rows(const Path& from, const Path& to, std::span<const std::string_view> names,
                    const RowGrowth& growth) {
  const auto mapped = MappedFile::open(from);
  SafetensorsHeader header = parse_safetensors_header(mapped->bytes(), from.string());
  // Grown 16-bit tensors may have any even length: what is wider comes first, so that all stay aligned.
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const StoredTensor& a, const StoredTensor& b) { return element_bytes(a) > element_bytes(b); });
  GrownFile result;
  std::vector<Output> outputs;
  for (const StoredTensor& tensor : header.tensors) {
    const bool grows = is_named(tensor, names);
    const auto old = std::span<const std::byte>(mapped->bytes())
                         .subspan(header.data_begin + tensor.begin, tensor.end - tensor.begin);
    outputs.push_back(output_of(tensor, old, grows ? &growth : nullptr, from));
    if (!grows) continue;
    const Output& out = outputs.back();
    result.tensors.push_back(tensor.name);
    result.added_bytes += static_cast<int64_t>(out.before.size() + out.rows.size() + out.after.size() - old.size());
  }
  const std::string text = grown_header_json(header.metadata, outputs);
  const uint64_t length = text.size();
  AtomicFile file(to);
  file.write(std::string_view(reinterpret_cast<const char*>(&length), sizeof length));
  file.write(text);
  for (const Output& out : outputs) {
    file.write(out.before);
    file.write(std::span<const std::byte>(out.rows));
    file.write(out.after);
  }
  file.commit();
  return result;
}

}  // namespace cloze
