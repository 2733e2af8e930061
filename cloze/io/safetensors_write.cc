#include <unordered_set>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/base/utf8.h"
#include "cloze/io/json_scan.h"
#include "cloze/io/safetensors.h"

namespace cloze {
namespace {

void check_writable(const Path& path, const std::vector<NamedTensor>& tensors,
                    const std::map<std::string, std::string>& metadata) {
  std::unordered_set<std::string_view> seen;
  for (const auto& [name, tensor] : tensors) {
    CLOZE_CHECK(!name.empty() && name != "__metadata__" && find_invalid_utf8(name) == std::string_view::npos,
                ErrorCode::kValue, "cannot write {}: {} cannot be the name of a tensor", path.string(),
                quote_name(name));
    CLOZE_CHECK(seen.insert(name).second, ErrorCode::kValue, "cannot write {}: two tensors have the name {}",
                path.string(), quote_name(name));
    CLOZE_CHECK(tensor.defined(), ErrorCode::kValue, "cannot write {}: tensor {} is undefined", path.string(),
                quote_name(name));
  }
  for (const auto& [key, value] : metadata) {
    CLOZE_CHECK(find_invalid_utf8(key) == std::string_view::npos && find_invalid_utf8(value) == std::string_view::npos,
                ErrorCode::kValue, "cannot write {}: the metadata entry {} is not UTF-8", path.string(),
                quote_name(key));
  }
}

std::string header_json(const std::vector<NamedTensor>& tensors, std::map<std::string, std::string> metadata) {
  // transformers refuses a file without it; a caller may say another word.
  metadata.emplace("format", "pt");
  JsonLine line;
  line.begin_object().key("__metadata__").begin_object();
  for (const auto& [key, value] : metadata) line.member(key, value);
  line.end_object();
  int64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    line.key(name).begin_object().member("dtype", dtype_name(tensor.dtype())).key("shape").begin_array();
    for (const int64_t size : tensor.shape().dims()) line.value(size);
    line.end_array().key("data_offsets").begin_array().value(at).value(at + tensor.bytes()).end_array().end_object();
    at += tensor.bytes();
  }
  line.end_object();
  std::string text = line.text();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data starts aligned
  return text;
}

}  // namespace

void write_safetensors(const Path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  check_writable(path, tensors, metadata);
  const std::string header = header_json(tensors, metadata);
  CLOZE_CHECK(header.size() <= kMaxSafetensorsHeaderBytes, ErrorCode::kValue,
              "cannot write {}: its header would have {} bytes, at most {} are allowed", path.string(), header.size(),
              kMaxSafetensorsHeaderBytes);
  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write(std::string_view(reinterpret_cast<const char*>(&length), sizeof length));
  file.write(header);
  for (const auto& [name, tensor] : tensors) {
    file.write(std::string_view(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes())));
  }
  file.commit();
}

}  // namespace cloze
