#include "cloze/transfer/feature_cache.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

namespace cloze {
namespace {

constexpr char kMagic[8] = {'C', 'L', 'Z', 'F', 'E', 'A', 'T', 'S'};
constexpr uint64_t kCacheVersion = 1;

struct Footer {
  char magic[8];
  uint64_t version, rows, width, encoder, reserved, data_crc, footer_crc;
};
static_assert(sizeof(Footer) == FeatureCache::kFooterBytes);
static_assert(std::endian::native == std::endian::little, "segments are mapped as they are");

uint64_t crc(const void* data, size_t bytes, uint64_t before = 0) {
  return crc32_z(static_cast<uLong>(before), static_cast<const Bytef*>(data), bytes);
}

/// Stirs 64-bit words into a hash (the multiply and shift of MurmurHash3's finaliser).
class Mixer {
 public:
  explicit Mixer(uint64_t seed) : state_(seed) {}
  void add(uint64_t word) {
    state_ = (state_ ^ word) * 0xFF51AFD7ED558CCDu;
    state_ ^= state_ >> 32;
  }
  void add(std::string_view text) {
    add(text.size());
    for (const char c : text) add(static_cast<unsigned char>(c));
  }
  /// Four lanes, so that hundreds of megabytes of weights take a fraction of a second.
  void add(const Tensor& tensor) {
    const auto values = tensor.values<float>();
    Mixer lanes[4] = {Mixer(1), Mixer(2), Mixer(3), Mixer(4)};
    size_t i = 0;
    for (; i + 8 <= values.size(); i += 8)
      for (size_t lane = 0; lane < 4; ++lane) {
        uint64_t word = 0;
        std::memcpy(&word, &values[i + 2 * lane], sizeof word);
        lanes[lane].add(word);
      }
    for (; i < values.size(); ++i) lanes[0].add(std::bit_cast<uint32_t>(values[i]));
    for (const Mixer& lane : lanes) add(lane.state_);
    add(values.size());
  }
  uint64_t value() const { return state_; }

 private:
  uint64_t state_;
};

}  // namespace

RowKey row_key(const EncodedRows& rows, size_t row) {
  Mixer first(0x9E3779B97F4A7C15u), second(0xC2B2AE3D27D4EB4Fu);
  const auto add = [&](uint64_t word) {
    first.add(word);
    second.add(word);
  };
  for (size_t i = rows.begin[row]; i < rows.begin[row + 1]; ++i) {
    const TokenSequence& sequence = rows.sequences[i];
    add(sequence.ids.size());
    for (size_t t = 0; t < sequence.ids.size(); ++t)
      add(uint64_t{static_cast<uint32_t>(sequence.ids[t])} << 8 |
          static_cast<uint32_t>(t < sequence.segments.size() ? sequence.segments[t] : 0));
  }
  return {first.value(), second.value()};
}

uint64_t encoder_key(const FrozenEncoder& encoder, const Poolings& poolings) {
  Mixer mixer(kCacheVersion);
  const BertConfig& c = encoder.config;
  for (const int64_t size : {c.num_hidden_layers, c.hidden_size, c.num_attention_heads, c.intermediate_size,
                             static_cast<int64_t>(c.hidden_act), static_cast<int64_t>(encoder.precision)})
    mixer.add(static_cast<uint64_t>(size));
  mixer.add(std::bit_cast<uint64_t>(c.layer_norm_eps));
  mixer.add(poolings_text(poolings));
  ParameterList parameters;
  Bert bert = encoder.bert;  // shares the weights
  bert.collect(parameters);
  for (const Parameter* parameter : parameters) {
    mixer.add(parameter->name);
    if (parameter->compact != nullptr && parameter->compact->precision == Precision::kInt8) {
      mixer.add("int8");  // other products than those of the same floats
      if (const auto& inputs = static_cast<const Int8Weight&>(*parameter->compact).inputs) {
        mixer.add(std::bit_cast<uint32_t>(inputs->scale));
        mixer.add(static_cast<uint64_t>(inputs->zero));
      }
    }
    mixer.add(parameter->floats().value());
  }
  return mixer.value();
}

FeatureCache::FeatureCache(Path folder, uint64_t encoder, int64_t width)
    : folder_(std::move(folder)), encoder_(encoder), width_(width) {
  make_folder(folder_);
  const std::string prefix = fmt::format("{:016x}-", encoder_);
  std::vector<Path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(".features")) paths.push_back(entry.path());
  }
  CLOZE_CHECK(!error, ErrorCode::kIo, "cannot read the folder {}: {}", folder_.string(), error.message());
  std::ranges::sort(paths);
  for (const Path& path : paths) {
    if (std::optional<Segment> segment = open(path))
      segments_.push_back(std::move(*segment));
    else
      ++damaged_;
  }
}

std::optional<FeatureCache::Segment> FeatureCache::open(const Path& path) const {
  Segment segment;
  segment.file = MappedFile::open(path);
  const std::span<const std::byte> bytes = segment.file->bytes();
  Footer footer;
  if (bytes.size() < sizeof footer) return std::nullopt;
  const size_t data = bytes.size() - sizeof footer;
  std::memcpy(&footer, bytes.data() + data, sizeof footer);
  const uint64_t row_bytes = static_cast<uint64_t>(width_) * sizeof(float) + sizeof(RowKey);
  const bool whole = std::memcmp(footer.magic, kMagic, sizeof kMagic) == 0 && footer.version == kCacheVersion &&
                     footer.footer_crc == crc(&footer, offsetof(Footer, footer_crc)) && footer.encoder == encoder_ &&
                     footer.width == static_cast<uint64_t>(width_) && footer.rows <= data / row_bytes &&
                     footer.rows * row_bytes == data && footer.data_crc == crc(bytes.data(), data);
  if (!whole) return std::nullopt;
  segment.keys = {reinterpret_cast<const RowKey*>(bytes.data()), footer.rows};
  segment.vectors = {reinterpret_cast<const float*>(bytes.data() + segment.keys.size_bytes()),
                     footer.rows * footer.width};
  return segment;
}

std::span<const float> FeatureCache::find(const RowKey& key) const {
  for (const Segment& segment : segments_) {
    const auto at = std::ranges::lower_bound(segment.keys, key);
    if (at != segment.keys.end() && *at == key)
      return segment.vectors.subspan(static_cast<size_t>((at - segment.keys.begin()) * width_),
                                     static_cast<size_t>(width_));
  }
  return {};
}

void FeatureCache::add(std::span<const RowKey> keys, const Tensor& vectors) {
  std::map<RowKey, int64_t> order;  // keys rising, each once
  for (size_t i = 0; i < keys.size(); ++i) order.emplace(keys[i], static_cast<int64_t>(i));
  if (order.empty()) return;
  Mixer name(order.size());
  for (const auto& [key, row] : order) {
    name.add(key[0]);
    name.add(key[1]);
  }
  const Path path = folder_ / fmt::format("{:016x}-{:016x}.features", encoder_, name.value());
  AtomicFile file(path);
  uint64_t data_crc = 0;
  const auto write = [&](const void* data, size_t bytes) {
    data_crc = crc(data, bytes, data_crc);
    file.write(std::string_view(static_cast<const char*>(data), bytes));
  };
  for (const auto& [key, row] : order) write(key.data(), sizeof key);
  for (const auto& [key, row] : order)
    write(vectors.data<float>() + row * width_, static_cast<size_t>(width_) * sizeof(float));
  Footer footer{};
  std::memcpy(footer.magic, kMagic, sizeof kMagic);
  footer.version = kCacheVersion;
  footer.rows = order.size();
  footer.width = static_cast<uint64_t>(width_);
  footer.encoder = encoder_;
  footer.data_crc = data_crc;
  footer.footer_crc = crc(&footer, offsetof(Footer, footer_crc));
  file.write(std::as_bytes(std::span(&footer, 1)));
  file.commit();
  if (std::optional<Segment> segment = open(path)) segments_.push_back(std::move(*segment));
}

Tensor cached_row_vectors(const FrozenEncoder& encoder, const EncodedRows& rows, const Poolings& poolings,
                          FeatureCache* cache, FeatureCounts& counts, const FeatureProgress& progress) {
  const int64_t D = vector_width(poolings, encoder.config), N = static_cast<int64_t>(rows.rows());
  const Tensor vectors({N, D}, DType::kF32);
  float* const y = vectors.data<float>();
  std::vector<RowKey> keys(rows.rows());
  std::map<RowKey, size_t> first;        // the row that stands for a key's others
  std::vector<size_t> wanted, repeated;  // rows that the encoder must read; rows like an earlier one
  for (size_t row = 0; row < rows.rows(); ++row) {
    keys[row] = row_key(rows, row);
    const std::span<const float> known = cache ? cache->find(keys[row]) : std::span<const float>();
    if (!known.empty()) {
      std::ranges::copy(known, y + static_cast<int64_t>(row) * D);
      ++counts.found;
    } else {
      (first.emplace(keys[row], row).second ? wanted : repeated).push_back(row);
    }
  }
  // Kept now and then: a run that is stopped has not worked for nothing.
  constexpr size_t kRowsAPass = 256, kPassesAFile = 64;
  std::vector<RowKey> new_keys;
  std::vector<float> fresh;
  const auto keep = [&] {
    if (cache) cache->add(new_keys, Tensor::of(Shape({static_cast<int64_t>(new_keys.size()), D}), fresh));
    new_keys.clear();
    fresh.clear();
  };
  try {
    for (size_t begin = 0; begin < wanted.size(); begin += kRowsAPass) {
      if (progress) progress(N - static_cast<int64_t>(wanted.size() - begin + repeated.size()), N);
      EncodedRows part;
      const size_t end = std::min(begin + kRowsAPass, wanted.size());
      for (size_t i = begin; i < end; ++i) {
        for (size_t s = rows.begin[wanted[i]]; s < rows.begin[wanted[i] + 1]; ++s)
          part.sequences.push_back(rows.sequences[s]);
        part.begin.push_back(part.sequences.size());
        part.dropped.push_back(0);
      }
      const Tensor some = row_vectors(encoder, part, poolings);
      for (size_t i = begin; i < end; ++i) {
        std::copy_n(some.data<float>() + static_cast<int64_t>(i - begin) * D, D,
                    y + static_cast<int64_t>(wanted[i]) * D);
        new_keys.push_back(keys[wanted[i]]);
      }
      counts.computed += static_cast<int64_t>(end - begin);
      if (cache) fresh.insert(fresh.end(), some.data<float>(), some.data<float>() + some.elements());
      if (cache && new_keys.size() >= kRowsAPass * kPassesAFile) keep();
    }
  } catch (...) {
    keep();
    throw;
  }
  keep();
  for (const size_t row : repeated) {
    std::copy_n(y + static_cast<int64_t>(first[keys[row]]) * D, D, y + static_cast<int64_t>(row) * D);
    ++counts.found;
  }
  if (progress) progress(N, N);
  return vectors;
}

}  // namespace cloze
