// vocab.txt: look-ups both ways, a tokenizer of it against the specification, and written and read again.
#include "fuzz/tokenizing.h"

namespace cloze::fuzz {
namespace {

void check_vocabulary(const Vocabulary& vocabulary) {
  int64_t distinct = 0;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view piece = vocabulary.piece(id);
    const auto owner = vocabulary.id(piece);
    FUZZ_CHECK(owner.has_value() == !piece.empty(), "piece {}", id);
    // Of equal pieces the last one owns the text.
    FUZZ_CHECK(!owner || (*owner >= id && vocabulary.piece(*owner) == piece), "piece {} belongs to {}", id, *owner);
    distinct += owner == id;
  }
  FUZZ_CHECK(distinct == vocabulary.distinct_size(), "{} distinct", distinct);
}

void run(std::string_view text) {
  static const MemoryFile memory;
  static const MemoryFolder folder;
  memory.write(text);
  error_of([&] {
    const Vocabulary vocabulary = Vocabulary::load(memory.path());
    check_vocabulary(vocabulary);
    const Path again_path = folder.path() / "vocab.txt";
    vocabulary.save(again_path);
    const Vocabulary again = Vocabulary::load(again_path);
    FUZZ_CHECK(again.size() == vocabulary.size(), "{} pieces but {}", again.size(), vocabulary.size());
    for (int32_t id = 0; id < again.size(); ++id) FUZZ_CHECK(again.piece(id) == vocabulary.piece(id), "piece {}", id);
    // A tokenizer takes milliseconds to build here: one for each eighth input, told by its length.
    if (text.size() % 8 != 0) return;
    const std::string_view sample = text.substr(0, 192);
    const Tokenizer tokenizer = Tokenizer::from_vocabulary(vocabulary);
    const NaiveTokenizer naive(tokenizer);
    check_text(tokenizer, naive, kSampleText, std::nullopt, {});
    check_text(tokenizer, naive, sample, std::nullopt, {.special_tokens = SpecialTokens::kNone});
  });
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
