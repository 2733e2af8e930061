// Vocabulary and tokenizer files: what is read, what is written, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"
#include "cloze/text/tokenizer.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TokenizerFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("cloze_text_" + std::to_string(::getpid()));
    make_folder(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const char* name, std::string_view content) const { write_file(folder_ / name, content); }
  Tokenizer load() const { return Tokenizer::load(folder_); }
  std::string refusal(ErrorCode code) const {
    try {
      load();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }
  /// A good tokenizer.json with one part replaced.
  static std::string json_with(std::string_view from, std::string_view to) {
    std::string text =
        R"({"version":"1.0","truncation":{"max_length":3,"strategy":"LongestFirst","stride":0},"padding":null,
      "added_tokens":[{"id":5,"content":"<x>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
      "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
      "pre_tokenizer":{"type":"BertPreTokenizer"},
      "post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},
      "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
               "vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"a":3,"##b":4}}})";
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  Path folder_;
};

constexpr const char* kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nA\n##b\n\u00E9\ne\n";

TEST_F(TokenizerFiles, VocabTxtAloneIsUncased) {
  write("vocab.txt", kVocab);
  EXPECT_THAT(load().encode("Ab \u00C9").ids, ElementsAre(2, 5, 7, 9, 3));
}

TEST_F(TokenizerFiles, VocabTxtDropsCarriageReturnsAndNeedsNoLastLineEnd) {
  write("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\n\r\na");
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.size(), 5);
  EXPECT_EQ(tokenizer.vocabulary().piece(3), "");
  EXPECT_THAT(tokenizer.encode("a").ids, ElementsAre(1, 4, 2));
}

TEST_F(TokenizerFiles, OfEqualPiecesTheLastWins) {
  write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\na\n");
  EXPECT_THAT(load().encode("a").ids, ElementsAre(1, 4, 2));
  EXPECT_EQ(load().token(3), "a");
  EXPECT_EQ(load().size(), 5);
}

TEST_F(TokenizerFiles, BrokenVocabulariesAreRefused) {
  EXPECT_THAT(refusal(ErrorCode::kNotFound), HasSubstr("neither tokenizer.json nor vocab.txt"));
  write("vocab.txt", "");
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("empty"));
  write("vocab.txt", "[UNK]\n[CLS]\na\n");
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("[SEP]"));
  write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n\xFF\n");
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("line 4"));
}

TEST_F(TokenizerFiles, ConfigSwitchesAndNames) {
  write("vocab.txt", "<unk>\n<s>\n</s>\na\nA\n##b\n\u00E9\ne\nx\u4E2D\n\u4E2D\n");
  write("tokenizer_config.json", R"({"do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false,
    "unk_token": "<unk>", "cls_token": {"content": "<s>"}, "sep_token": "</s>", "model_max_length": 1e30})");
  const Tokenizer tokenizer = load();
  EXPECT_THAT(tokenizer.encode("A \u00E9 x\u4E2D").ids, ElementsAre(1, 4, 7, 8, 2));
  EXPECT_FALSE(tokenizer.options().model_max_length);
  write("tokenizer_config.json", R"({"do_basic_tokenize": false})");
  EXPECT_THAT(refusal(ErrorCode::kUnsupported), HasSubstr("do_basic_tokenize"));
  write("tokenizer_config.json", R"({"never_split": ["abc"]})");
  EXPECT_THAT(refusal(ErrorCode::kUnsupported), HasSubstr("abc"));
  write("tokenizer_config.json", R"({"do_lower_case": "yes"})");
  refusal(ErrorCode::kFormat);
}

TEST_F(TokenizerFiles, TokenizerJsonIsReadWithoutItsTruncation) {
  write("tokenizer.json", json_with("", ""));
  write("tokenizer_config.json", R"({"model_max_length": 512})");
  const Tokenizer tokenizer = load();
  EXPECT_THAT(tokenizer.encode("ab ab a <x>").ids, ElementsAre(1, 3, 4, 3, 4, 3, 5, 2));
  EXPECT_EQ(tokenizer.options().model_max_length, 512);
  EXPECT_EQ(tokenizer.size(), 6);
}

TEST_F(TokenizerFiles, WhatIsNotBertIsNamed) {
  const struct {
    const char *from, *to, *word;
    ErrorCode code;
  } rows[] = {
      {R"("type":"WordPiece")", R"("type":"BPE")", "BPE", ErrorCode::kUnsupported},
      {R"("type":"BertNormalizer")", R"("type":"NFC")", "NFC", ErrorCode::kUnsupported},
      {R"({"type":"BertPreTokenizer"})", "null", "pre_tokenizer is null", ErrorCode::kUnsupported},
      {R"("type":"BertProcessing")", R"("type":"RobertaProcessing")", "RobertaProcessing", ErrorCode::kUnsupported},
      {R"("type":"BertProcessing")", R"("type":"TemplateProcessing","single":[],"pair":[])", "template",
       ErrorCode::kUnsupported},
      {R"("a":3)", R"("a":"3")", "expected an integer", ErrorCode::kFormat},
      {R"("a":3)", R"("a":999999999)", "999999999", ErrorCode::kFormat},
      {R"("a":3)", R"("a":4)", "both", ErrorCode::kFormat},
      {R"("[UNK]":0)", R"("[unk]":0)", "[UNK]", ErrorCode::kFormat},
      {R"("id":5)", R"("id":6)", "<x>", ErrorCode::kFormat},
      {R"("vocab":{)", R"("vocab":[{)", "", ErrorCode::kFormat},
      {R"("version")", R"(version)", "byte", ErrorCode::kFormat},
  };
  for (const auto& row : rows) {
    write("tokenizer.json", json_with(row.from, row.to));
    EXPECT_THAT(refusal(row.code), HasSubstr(row.word)) << row.to;
  }
  write("tokenizer.json", std::string(100, '['));
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("nested"));
}

TEST_F(TokenizerFiles, FilesThatContradictEachOtherAreRefused) {
  write("tokenizer.json", json_with("", ""));
  write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("lowercase"));
}

TEST_F(TokenizerFiles, SavingAndLoadingGivesTheSameTokenizer) {
  write("vocab.txt", kVocab);
  TokenizerOptions options{
      .normalizer = {.clean_text = false, .handle_chinese_chars = false, .strip_accents = true, .lowercase = false},
      .max_chars_per_word = 9,
      .model_max_length = 77};
  options.added_tokens = {{.content = "[MASK]"},
                          {.content = "<x>", .special = false, .normalized = true, .lstrip = true}};
  const Tokenizer first = Tokenizer::from_vocabulary(Vocabulary::load(folder_ / "vocab.txt"), options);
  first.save(folder_ / "copy");
  for (const bool with_json : {true, false}) {
    if (!with_json) std::filesystem::remove(folder_ / "copy/tokenizer.json");
    const Tokenizer second = Tokenizer::load(folder_ / "copy");
    EXPECT_EQ(second.added_tokens(), first.added_tokens());
    EXPECT_EQ(second.options().model_max_length, 77);
    EXPECT_EQ(second.options().normalizer.lowercase, false);
    EXPECT_EQ(second.vocabulary().names(), first.vocabulary().names());
    const char* text = "Ab  <X> \u00C9[MASK] <x> aaaaaaaaaa";
    EXPECT_TRUE(!with_json || second.options().normalizer == first.options().normalizer);
    EXPECT_EQ(second.encode(text).ids, first.encode(text).ids);
  }
}

// Found by fuzzing: the parser quotes what it does not understand, and stops at a NUL as if the file ended there.
TEST_F(TokenizerFiles, BrokenJsonIsQuotedAsUtf8OfBoundedLength) {
  write("tokenizer.json", "{\"a\": \"" + std::string(5000, 'x') + "\xFF");
  const std::string message = refusal(ErrorCode::kFormat);
  EXPECT_EQ(find_invalid_utf8(message), std::string::npos) << message;
  EXPECT_LT(message.size(), 1000u);
  write("tokenizer.json", json_with("{", "{") + std::string("\0 and more", 10));
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("NUL"));
}

TEST_F(TokenizerFiles, IdsThatAreNoneAreQuotedWithinBounds) {
  const std::string long_key(5000, 'k'), accents = "\xC3\xA9\xC3\xA9\xC3\xA9";
  std::string value;
  for (int i = 0; i < 30; ++i) value += accents;  // cut at any byte it is not UTF-8
  write("tokenizer.json", "{\"model\": {\"vocab\": {\"" + long_key + "\": \"x" + value + "\"}}}");
  const std::string message = refusal(ErrorCode::kFormat);
  EXPECT_THAT(message, HasSubstr("expected an integer id"));
  EXPECT_LT(message.size(), 300u);
  EXPECT_EQ(find_invalid_utf8(message), std::string::npos) << message;
}

// Found by fuzzing: an object in place of an id was taken for the vocabulary itself, and its end for that of the model.
TEST_F(TokenizerFiles, AnObjectInPlaceOfAnIdIsRefused) {
  write("tokenizer.json", R"({"model": {"vocab": {"a": {}}}, "b": 1, "c": {"d": 2}})");
  EXPECT_THAT(refusal(ErrorCode::kFormat), HasSubstr("model.vocab has \"a\": {}, expected an integer id"));
}

TEST(Vocabulary, LooksUpBothWays) {
  const Vocabulary v({"[UNK]", "[CLS]", "[SEP]", "a", "##b"});
  EXPECT_EQ(v.id("##b"), 4);
  EXPECT_FALSE(v.id("b"));
  EXPECT_FALSE(v.id(""));
  EXPECT_EQ(v.piece(3), "a");
  EXPECT_THROW(v.piece(5), Error);
  EXPECT_THROW(v.mask_id(), Error);
  EXPECT_EQ(v.cls_id(), 1);
}

}  // namespace
}  // namespace cloze
