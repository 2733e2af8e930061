// The fast tokenizer against its specification: any bytes, eight sets of options, all truncations, one text or two.
// First byte: the tokenizer, one text or two, special tokens; second: the truncation; the rest is the text, cut in two
// at the first US (0x1F).
#include "cloze/text/explain.h"
#include "fuzz/tokenizing.h"

namespace cloze::fuzz {
namespace {

/// Small, but with what real vocabularies have: pieces that overlap, letters alone, accents, several scripts.
std::vector<std::string> pieces() {
  std::vector<std::string> list = {
      "[PAD]",    "[UNK]",    "[CLS]",    "[SEP]",      "[MASK]",       "the",       "##s",      "un",       "##able",
      "walk",     "##ing",    "##in",     "##i",        "caf",          "caf\u00E9", "##\u00E9", "e",        "The",
      "cafe",     "##e",      "##aff",    "\u4E2D",     "\u6587",       "##\u6587",  "\u1100",   "##\u1161", "##\u11AB",
      "\uD55C",   "##\uAE00", "\u0E01",   "##\u0E34",   "\u0905",       "##\u093E",  "i\u0307",  "##\u0307", "##\u0301",
      "##\u0323", "##\u1B44", "##\u302E", "\u00DF",     "##ss",         "\u03C3",    "##\u03C2", "\u0130",   "\u3042",
      "##\u3099", "1",        "##2",      "##34",       "12",           "!",         "'",        ".",        ",",
      "-",        "##-",      "\u3002",   "\U0001F600", "##\U0001F600", "##",        "#",        "##\u200B", "\uFFFD"};
  for (char c = 'a'; c <= 'd'; ++c) list.insert(list.end(), {std::string(1, c), std::string("##") + c});
  return list;
}

std::vector<Tokenizer> make_tokenizers() {
  const auto make = [](TokenizerOptions options) {
    return Tokenizer::from_vocabulary(Vocabulary(pieces()), std::move(options));
  };
  const std::vector<AddedToken> raw = {{.content = "<x>", .special = false, .lstrip = true, .rstrip = true},
                                       {.content = "[MASK]", .lstrip = true},
                                       {.content = "ab", .special = false, .single_word = true},
                                       {.content = "<x><x>", .special = false},
                                       {.content = "\u4E2D\u6587", .special = false},
                                       {.content = "[SEP]"},
                                       {.content = "  ", .special = false, .rstrip = true},
                                       {.content = "\t", .special = false, .lstrip = true}};
  const std::vector<AddedToken> normalized = {
      {.content = "Caf\u00E9", .special = false, .normalized = true},
      {.content = "ab", .special = false, .normalized = true, .single_word = true},
      {.content = "<x>", .special = false, .normalized = true, .lstrip = true, .rstrip = true},
      {.content = "\u4E2D", .special = false, .normalized = true},
      {.content = "[MASK]", .lstrip = true},
      {.content = "  ", .special = false, .normalized = true, .rstrip = true},
      {.content = " .", .special = false, .normalized = true, .lstrip = true},
      {.content = "\u1100", .special = false, .normalized = true}};
  return {make({}),
          make({.normalizer = {.lowercase = false}}),
          make({.added_tokens = raw}),
          make({.max_chars_per_word = 5, .added_tokens = normalized}),
          make({.normalizer = {.clean_text = false, .strip_accents = false}}),
          make({.normalizer = {.handle_chinese_chars = false, .strip_accents = true, .lowercase = false}}),
          make({.continuing_prefix = "", .max_chars_per_word = 3}),
          make({.normalizer = {.clean_text = false, .handle_chinese_chars = false},
                .max_chars_per_word = 1'000'000'000,
                .added_tokens = normalized})};
}

void run(Input input) {
  static const std::vector<Tokenizer> tokenizers = make_tokenizers();
  static const std::vector<NaiveTokenizer> naive(tokenizers.begin(), tokenizers.end());
  const unsigned choice = input.byte(), cut = input.byte();
  EncodeOptions options;
  options.special_tokens = choice & 16 ? SpecialTokens::kNone : SpecialTokens::kAdd;
  options.truncation = {.strategy = static_cast<TruncationStrategy>(cut & 3),
                        .max_length = cut >> 3,
                        .side = cut & 4 ? TruncationSide::kLeft : TruncationSide::kRight};
  std::string_view first = input.rest();
  std::optional<std::string_view> second;
  if (choice & 8) {
    const size_t border = std::min(first.find('\x1F'), first.size());
    second = first.substr(std::min(border + 1, first.size()));
    first = first.substr(0, border);
  }
  check_text(tokenizers[choice & 7], naive[choice & 7], first, second, options);
  // Slow, and for people: now and then.
  if (first.size() % 64 != 0) return;
  error_of([&] {
    const std::string words = explain_tokenization(tokenizers[choice & 7], first);
    FUZZ_CHECK(find_invalid_utf8(words) == std::string_view::npos && words.ends_with('\n'), "{}", words);
  });
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({data, size});
  return 0;
}
