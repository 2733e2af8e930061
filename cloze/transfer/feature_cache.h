// Vectors of texts on disk, so that a frozen encoder reads a text once, whatever is trained on it afterwards.
//
// A folder holds segments, each written once and whole: NAME.features, NAME being the encoder's key and the segment's
// own. A segment: N keys of 16 bytes in rising order, vectors [N,D] F32 (little endian), a footer (magic, version, N,
// D, encoder key, CRC-32 of all before, CRC-32 of the footer). Runs that share a folder see what the others had
// finished when they began; the same texts written twice are one file.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cloze/transfer/frozen_encoder.h"

namespace cloze {

/// A row as the model sees it: a hash of its sequences' ids and segments, 128 bits.
using RowKey = std::array<uint64_t, 2>;
RowKey row_key(const EncodedRows& rows, size_t row);

/// Changes with the encoder's weights and shape, the precision of its products, and the poolings.
uint64_t encoder_key(const FrozenEncoder& encoder, const Poolings& poolings);

class FeatureCache {
 public:
  static constexpr size_t kFooterBytes = 64;

  /// Maps the segments of this encoder. The folder is made if need be. A damaged segment is passed over and counted.
  /// Errors: kIo.
  FeatureCache(Path folder, uint64_t encoder, int64_t width);

  /// The vector [width], good as long as this object; empty if the row is not there.
  std::span<const float> find(const RowKey& key) const;
  /// Writes a segment of vectors [N,width] F32 and their keys; of equal keys the first counts. Errors: kIo.
  void add(std::span<const RowKey> keys, const Tensor& vectors);
  int64_t damaged() const { return damaged_; }

 private:
  struct Segment {
    std::shared_ptr<MappedFile> file;
    std::span<const float> vectors;
    std::span<const RowKey> keys;
  };
  std::optional<Segment> open(const Path& path) const;

  Path folder_;
  uint64_t encoder_;
  int64_t width_;
  int64_t damaged_ = 0;
  std::vector<Segment> segments_;
};

struct FeatureCounts {
  int64_t found = 0;     ///< rows whose vectors were in the cache
  int64_t computed = 0;  ///< rows that the encoder read
};
/// Called with rows done and in all; it may throw to stop: what was computed is kept.
using FeatureProgress = std::function<void(int64_t done, int64_t rows)>;

/// row_vectors() by way of the cache (null: none): [rows,D]. A text that comes several times is read once. The bits are
/// those of row_vectors().
Tensor cached_row_vectors(const FrozenEncoder& encoder, const EncodedRows& rows, const Poolings& poolings,
                          FeatureCache* cache, FeatureCounts& counts, const FeatureProgress& progress = {});

}  // namespace cloze
