// Rows for pretraining, cut from token caches (Devlin et al., 2019, appendix A.2): each a pure function of its number,
// so that a resumed or sharded run sees what an undisturbed one sees.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cloze/data/token_cache.h"

namespace cloze {

/// What a row teaches beside masked words.
enum class SentenceObjective : uint8_t {
  kNone,  ///< one segment: [CLS] text [SEP]
  /// [CLS] A [SEP] B [SEP]: B follows A in its document (label 0), or stands in another document (label 1) and is about
  /// as long and begins and ends as the true one does, so that the label shows in what is said alone.
  kNext,
  kOrder,  ///< A and B are neighbours, in their order (0) or swapped (1) (Lan et al., "ALBERT", 2020)
};

/// "mlm", "mlm,nsp" or "mlm,sop". Errors: kUsage.
SentenceObjective parse_objective(const std::string& name);

struct PretrainingRow {
  std::vector<int32_t> ids, segments;  ///< [CLS] and [SEP] included, not masked
  std::vector<uint8_t> begins_word;    ///< 1 where a word begins
  int32_t label = -1;                  ///< 0 or 1; -1 without a sentence objective
  size_t source = 0;
  /// First token (in its cache) of each segment, and its document, for tests and for people.
  int64_t begin[2] = {0, 0};
  int64_t document[2] = {0, 0};
};

struct PretrainingRowOptions {
  int64_t max_length = 128;  ///< tokens a row, [CLS] and [SEP] included
  SentenceObjective objective = SentenceObjective::kNext;
  double short_rate = 0.1;       ///< of rows that are cut at a random length below max_length
  double heldout_share = 0.005;  ///< of each source's documents (the last ones) that are kept from training
  uint64_t seed = 0;
};

struct PretrainingSource {
  std::string name;  ///< for messages
  std::shared_ptr<const TokenCache> cache;
  double weight = 1;  ///< how often its text counts relative to its size
};

class PretrainingRows {
 public:
  /// Errors: kUsage for options that cannot be; kValue where all rows of a source are of one document and the objective
  /// needs text from others, or where it has no row at all.
  PretrainingRows(std::vector<PretrainingSource> sources, int32_t cls_id, int32_t sep_id,
                  const PretrainingRowOptions& options);

  /// Rows after which a text of weight 1 has been seen about once.
  int64_t rows_per_epoch() const { return rows_per_epoch_; }
  /// Training row `number` of an endless sequence, >= 0.
  PretrainingRow row(int64_t number) const;
  int64_t heldout_rows() const { return heldout_rows_; }
  /// Held-out row `number` < heldout_rows(), always the same; sources alternate by their size.
  PretrainingRow heldout_row(int64_t number) const;
  const std::vector<PretrainingSource>& sources() const { return sources_; }
  /// Tokens of source s before its first held-out document.
  std::span<const uint32_t> training_tokens(size_t s) const {
    return sources_[s].cache->tokens().first(training_tokens_[s]);
  }
  /// Training rows of one pass over source s.
  int64_t rows_of(size_t s) const { return static_cast<int64_t>(train_[s].size()); }

 private:
  /// Sentences that fill a row: tokens [begin, end) of one document.
  struct Chunk {
    uint64_t begin;
    uint32_t tokens;
    uint32_t document;
  };
  using Chunks = std::vector<Chunk>;
  /// Some tokens of a cache.
  struct Run {
    const uint32_t* begin = nullptr;
    const uint32_t* end = nullptr;
    int64_t size() const { return end - begin; }
  };
  /// Where a chunk is parted.
  struct Split {
    enum Kind : uint8_t { kSentence, kWord, kToken };
    uint64_t at;
    Kind kind;
  };

  void cut(size_t source);
  int64_t room() const;
  PretrainingRow make_row(size_t source, const Chunks& chunks, uint64_t at, uint64_t seed, uint64_t number) const;
  PretrainingRow join(const Run& first, const Run& second) const;
  Split split_chunk(const Run& chunk, uint64_t random, Split::Kind best) const;
  int64_t false_second(size_t source, const Chunks& chunks, const Chunk& chunk, const Split& split, uint64_t seed,
                       uint64_t number, Run& second) const;
  Run fit(const uint32_t* begin, const uint32_t* end, int64_t wanted, int64_t least, bool whole_sentences) const;
  static void truncate_pair(Run& first, Run& second, int64_t room, uint64_t random);

  std::vector<PretrainingSource> sources_;
  int32_t cls_id_, sep_id_;
  PretrainingRowOptions options_;
  std::vector<Chunks> train_, heldout_;
  std::vector<uint64_t> training_tokens_;  ///< of each source
  std::vector<uint32_t> pattern_;          ///< the source of row n is pattern_[n % size]
  std::vector<uint32_t> rank_;             ///< how many earlier places of the pattern have the same source
  std::vector<uint32_t> places_;           ///< places of the pattern that each source has
  int64_t rows_per_epoch_ = 0, heldout_rows_ = 0;
};

}  // namespace cloze
