// Compressed files: whatever the bytes are, reading in one piece and in small ones gives the same bytes and error.
#include <fcntl.h>

#include "fuzz/fuzz.h"

namespace cloze::fuzz {
namespace {

/// What could be read, and the error that ended it.
std::pair<std::string, std::string> read_whole(const Path& path, size_t step) {
  constexpr size_t kEnough = 1 << 20;
  std::string content;
  const std::string error = error_of([&] {
    const auto reader = ByteReader::open(path);
    std::string block(step, '\0');
    while (content.size() < kEnough) {
      const size_t n = reader->read({block.data(), block.size()});
      FUZZ_CHECK(n <= step, "{} bytes instead of {}", n, step);
      if (n == 0) return;
      content.append(block, 0, n);
    }
  });
  content.resize(std::min(content.size(), kEnough));
  return {content, error};
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cloze::fuzz;
  static const MemoryFile memory;
  static const MemoryFolder folder;
  static const cloze::Path path = [] {
    const cloze::Path link = folder.path() / "input.gz";
    std::filesystem::create_symlink(memory.path(), link);
    return link;
  }();
  memory.write({reinterpret_cast<const char*>(data), size});
  const auto [content, error] = read_whole(path, 1 << 16);
  for (const size_t step : {size_t{7}, size_t{4096}}) {
    if (step == 7 && content.size() > 4096) continue;
    const auto [slow, slow_error] = read_whole(path, step);
    FUZZ_CHECK(slow_error == error, "\"{}\" but \"{}\"", slow_error, error);
    FUZZ_CHECK(!error.empty() || slow == content, "{} bytes but {}", slow.size(), content.size());
  }
  return 0;
}
