// tokenizer.json and tokenizer_config.json: the tokenizer that comes of it equals the specification on a sample text,
// and written and read again it is the same. The text behind the first form feed is the tokenizer_config.json.
#include "cloze/text/tokenizer_json.h"

#include "cloze/text/tokenizer_config.h"
#include "fuzz/tokenizing.h"

namespace cloze::fuzz {
namespace {

Tokenizer tokenizer_of(std::string_view text) {
  TokenizerJson json = parse_tokenizer_json(text, "tokenizer.json");
  return Tokenizer::from_vocabulary(Vocabulary(json.pieces, json.names, "tokenizer.json"), std::move(json.options));
}

void run(std::string_view text) {
  const size_t border = std::min(text.find('\f'), text.size());
  if (border < text.size()) {
    error_of([&] { parse_tokenizer_config(text.substr(border + 1), "tokenizer_config.json"); });
    text = text.substr(0, border);
  }
  // A tokenizer takes milliseconds to build here: one for each fourth input, told by its length.
  if (text.size() % 4 != 0) {
    error_of([&] {
      const TokenizerJson json = parse_tokenizer_json(text, "tokenizer.json");
      Vocabulary(json.pieces, json.names, "tokenizer.json");
    });
    return;
  }
  std::optional<Tokenizer> tokenizer;
  if (!error_of([&] { tokenizer = tokenizer_of(text); }).empty()) return;
  const NaiveTokenizer naive(*tokenizer);
  // The file's own bytes are a text as well, and hold the very tokens that it defines.
  for (const std::string_view sample : {kSampleText, text.substr(0, 256)}) {
    check_text(*tokenizer, naive, sample, std::nullopt, {});
    check_text(*tokenizer, naive, sample, "a [MASK]",
               {.truncation = {.strategy = TruncationStrategy::kLongestFirst, .max_length = 9}});
  }
  error_of([&] {
    const std::string written = write_tokenizer_json(*tokenizer);
    const Tokenizer again = tokenizer_of(written);
    check_equal(tokenizer->encode(kSampleText), again.encode(kSampleText));
    FUZZ_CHECK(write_tokenizer_json(again) == written, "{}", written);
    parse_tokenizer_config(write_tokenizer_config(*tokenizer), "written");
  });
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
