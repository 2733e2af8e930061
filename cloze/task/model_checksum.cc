#include "cloze/task/model_checksum.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>

#include "cloze/base/error.h"
#include "cloze/io/weights.h"

namespace cloze {

std::string model_checksum(const Path& model) {
  Weights weights{model};
  uint64_t sum = 14695981039346656037u;
  for (const std::string& name : weights.names()) {
    std::optional<Tensor> value;
    try {
      value = weights.find(name);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
    }
    if (!value) continue;
    const auto* bytes = static_cast<const std::byte*>(value->raw());
    for (int64_t at = 0; at < value->bytes(); at += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + at, static_cast<size_t>(std::min<int64_t>(8, value->bytes() - at)));
      sum = std::rotl((sum ^ word) * 0x9E3779B97F4A7C15u, 29);
    }
  }
  return fmt::format("{:016x}", sum);
}

}  // namespace cloze
