#include "cloze/text/word_counter.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "cloze/base/error.h"
#include "cloze/base/thread_team.h"
#include "cloze/base/utf8.h"
#include "cloze/text/word_splitter.h"
#include "cloze/text/word_table.h"

namespace cloze {
namespace {

constexpr size_t kShards = 64;  // a fixed number, so that nothing depends on the number of threads
constexpr size_t kMostLineBytes = LineReader::kMostBytes;
using Shards = std::array<WordTable, kShards>;

size_t shard_of(uint64_t hash) {
  return hash >> 58;
}

/// Whole lines of a file, in blocks.
class BlockReader {
 public:
  BlockReader(const Path& path, size_t block_bytes)
      : bytes_(ByteReader::open(path)),
        name_(path == "-" ? "standard input" : path.string()),
        block_bytes_(block_bytes) {}

  const std::string& name() const { return name_; }

  /// The next lines with their ends, the last line of the file perhaps without; empty at the end of the file.
  std::string_view next() {
    buffer_.erase(0, taken_);
    taken_ = 0;
    for (size_t wanted = block_bytes_;; wanted += block_bytes_) {
      if (!fill(wanted)) return take(buffer_.size());
      const size_t end = buffer_.rfind('\n');
      if (end != std::string::npos) return take(end + 1);
      CLOZE_CHECK(buffer_.size() <= kMostLineBytes, ErrorCode::kFormat,
                  "{}: a line of more than {} bytes; expected text in lines", name_, kMostLineBytes);
    }
  }

 private:
  /// False at the end of the file.
  bool fill(size_t wanted) {
    size_t have = buffer_.size();
    if (have >= wanted) return true;
    buffer_.resize(wanted);
    while (have < wanted) {
      const size_t got = bytes_->read({buffer_.data() + have, wanted - have});
      if (got == 0) break;
      have += got;
    }
    buffer_.resize(have);
    return have == wanted;
  }
  std::string_view take(size_t bytes) {
    taken_ = bytes;
    return std::string_view(buffer_).substr(0, bytes);
  }

  std::unique_ptr<ByteReader> bytes_;
  std::string name_, buffer_;
  size_t block_bytes_, taken_ = 0;
};

/// What one thread counts in its part of a block.
class BlockCounter {
 public:
  BlockCounter(const WordSplitter& splitter, int64_t max_chars) : splitter_(splitter), max_chars_(max_chars) {}

  void count(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size() - 1);
      put_line(text.substr(0, end + 1));
      ++lines;
      text.remove_prefix(end + 1);
    }
  }

  WordTable table;
  int64_t lines = 0, words = 0, long_words = 0, replaced = 0;

 private:
  /// The line's end is a space as any other.
  void put_line(std::string_view line) {
    list_.clear();
    if (!splitter_.append_words(line, list_)) splitter_.append_words(replace_invalid_utf8(line, replaced), list_);
    words += static_cast<int64_t>(list_.size());
    for (size_t i = 0; i < list_.size(); ++i) {
      const std::string_view word = list_[i];
      if (static_cast<int64_t>(word.size()) > max_chars_ && count_code_points(word) > max_chars_) {
        ++long_words;
      } else {
        table.add(word, hash_word(word), 1);
      }
    }
  }

  const WordSplitter& splitter_;
  int64_t max_chars_;
  WordList list_;
};

class Counter {
 public:
  explicit Counter(const WordCountOptions& options)
      : options_(options),
        splitter_(options.normalizer),
        parts_(static_cast<size_t>(thread_team().size()), BlockCounter(splitter_, options.max_chars_per_word)),
        shards_(std::make_shared<Shards>()) {}

  void read(const Path& path) {
    BlockReader reader(path, options_.block_bytes);
    const int64_t bytes_before = result_.bytes, replaced_before = result_.replaced_sequences;
    int64_t nul_bytes = 0;
    for (std::string_view block = reader.next(); !block.empty(); block = reader.next()) {
      if (result_.bytes == bytes_before) check_begin(block, reader.name());
      nul_bytes += std::count(block.begin(), block.end(), '\0');
      count_block(block);
      const int64_t bytes = result_.bytes - bytes_before, broken = result_.replaced_sequences - replaced_before;
      CLOZE_CHECK(
          broken + nul_bytes <= std::max<int64_t>(bytes / 100, 16), ErrorCode::kFormat,
          "{} is not UTF-8 text: {} invalid sequences and {} NUL bytes in its first {} bytes; convert it (iconv "
          "-t UTF-8), or is it packed or no text at all?",
          reader.name(), broken, nul_bytes, bytes);
      forget_rare_words();
      if (options_.progress) options_.progress(result_.bytes);
    }
  }

  CorpusCounts finish() {
    size_t size = 0;
    for (const WordTable& shard : *shards_) size += shard.size();
    result_.words.reserve(size);
    for (const WordTable& shard : *shards_)
      for (const WordTable::Entry& entry : shard.entries()) result_.words.push_back({shard.word(entry), entry.count});
    std::sort(result_.words.begin(), result_.words.end(),
              [](const WordCount& a, const WordCount& b) { return a.word < b.word; });
    result_.text = shards_;
    return std::move(result_);
  }

 private:
  /// NUL bytes at the beginning: UTF-16, a picture, an archive. Further on a stray one is dropped as the tokenizer
  /// does.
  static void check_begin(std::string_view block, const std::string& name) {
    const size_t at = block.substr(0, size_t{1} << 16).find('\0');
    CLOZE_CHECK(at == std::string_view::npos, ErrorCode::kFormat,
                "{} is not text: byte {} is NUL; expected UTF-8 text (convert UTF-16 with iconv -t UTF-8)", name, at);
  }

  void count_block(std::string_view block) {
    const size_t workers = parts_.size();
    std::vector<size_t> ends(workers, block.size());
    for (size_t i = 0; i + 1 < workers; ++i) {
      const size_t from = std::max(block.size() * (i + 1) / workers, i == 0 ? 0 : ends[i - 1]);
      ends[i] = std::min(block.find('\n', from), block.size() - 1) + 1;
    }
    thread_team().run([&](int worker, int) {
      const size_t w = static_cast<size_t>(worker), begin = w == 0 ? 0 : ends[w - 1];
      if (begin < ends[w]) parts_[w].count(block.substr(begin, ends[w] - begin));
    });
    merge();
    result_.bytes += static_cast<int64_t>(block.size());
  }

  /// Each thread takes its own shards from the tables of all threads.
  void merge() {
    thread_team().run([&](int worker, int team) {
      for (const BlockCounter& part : parts_)
        for (const WordTable::Entry& entry : part.table.entries()) {
          const size_t shard = shard_of(entry.hash);
          if (static_cast<int>(shard % static_cast<size_t>(team)) == worker)
            (*shards_)[shard].add(part.table.word(entry), entry.hash, entry.count);
        }
    });
    for (BlockCounter& part : parts_) {
      result_.lines += std::exchange(part.lines, 0);
      result_.total_words += std::exchange(part.words, 0);
      result_.long_words += std::exchange(part.long_words, 0);
      result_.replaced_sequences += std::exchange(part.replaced, 0);
      part.table.clear();
    }
  }

  /// As word2vec does: the floor rises by one each time, until a quarter of the room is free.
  void forget_rare_words() {
    const auto size = [&] {
      size_t words = 0;
      for (const WordTable& shard : *shards_) words += shard.size();
      return words;
    };
    if (size() <= options_.most_words) return;
    do {
      const int64_t floor = ++result_.forgotten_floor;
      std::array<int64_t, kShards> removed{};
      thread_team().for_ranges(kShards, 1, [&](int64_t begin, int64_t end) {
        for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
          removed[i] = (*shards_)[i].remove_rare(floor);
      });
      for (const int64_t count : removed) result_.forgotten_words += count;
    } while (size() > options_.most_words / 4 * 3);
  }

  const WordCountOptions& options_;
  WordSplitter splitter_;
  std::vector<BlockCounter> parts_;
  std::shared_ptr<Shards> shards_;
  CorpusCounts result_;
};

}  // namespace

CorpusCounts count_words(std::span<const Path> files, const WordCountOptions& options) {
  Counter counter(options);
  for (const Path& file : files) counter.read(file);
  return counter.finish();
}

}  // namespace cloze
