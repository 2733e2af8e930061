#include "cloze/io/safetensors_header.h"

#include "io_testing.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;

SafetensorsHeader parse(const std::string& bytes) {
  return parse_safetensors_header(as_bytes(bytes), "m.safetensors");
}

TEST(SafetensorsHeader, ReadsTensorsAndMetadata) {
  const SafetensorsHeader header = parse(safetensors_bytes(
      R"({"__metadata__":{"format":"pt","x":"y"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},)"
      R"("a":{"data_offsets":[0,4],"shape":[],"dtype":"I32"}})",
      std::string(12, 'x')));
  EXPECT_EQ(header.metadata, (std::map<std::string, std::string>{{"format", "pt"}, {"x", "y"}}));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "b");
  EXPECT_EQ(header.tensors[0].dtype, "F32");
  EXPECT_THAT(header.tensors[0].shape, ElementsAre(2, 1));
  EXPECT_EQ(header.tensors[0].begin, 4u);
  EXPECT_EQ(header.tensors[0].end, 12u);
  EXPECT_EQ(header.tensors[1].name, "a");
  EXPECT_TRUE(header.tensors[1].shape.empty());
  EXPECT_EQ(header.data_begin, 8u + 148u);
}

TEST(SafetensorsHeader, AcceptsNoTensorsEmptyTensorsAndPadding) {
  EXPECT_TRUE(parse(safetensors_bytes("{}      ", "")).tensors.empty());
  const SafetensorsHeader header = parse(safetensors_bytes(
      R"({"e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
      R"("z":{"dtype":"I64","shape":[0],"data_offsets":[3,3]}}   )",
      "abc"));
  EXPECT_EQ(header.tensors.size(), 3u);
}

TEST(SafetensorsHeader, KnowsEveryDtypeOfTheFormat) {
  const std::pair<const char*, int> kBytesOfFour[] = {
      {"F64", 32},    {"I64", 32},    {"U64", 32},    {"C64", 32}, {"F32", 16},    {"I32", 16},   {"U32", 16},
      {"F16", 8},     {"BF16", 8},    {"I16", 8},     {"U16", 8},  {"I8", 4},      {"U8", 4},     {"BOOL", 4},
      {"F8_E4M3", 4}, {"F8_E5M2", 4}, {"F8_E8M0", 4}, {"F4", 2},   {"F6_E2M3", 3}, {"F6_E3M2", 3}};
  for (const auto& [dtype, bytes] : kBytesOfFour) {
    const std::string header =
        fmt::format(R"({{"a":{{"dtype":"{}","shape":[2,2],"data_offsets":[0,{}]}}}})", dtype, bytes);
    EXPECT_NO_THROW(parse(safetensors_bytes(header, std::string(static_cast<size_t>(bytes), 'x')))) << dtype;
  }
}

struct Corruption {
  const char* name;
  std::string bytes;
  std::string words;
};
std::ostream& operator<<(std::ostream& out, const Corruption& corruption) {
  return out << corruption.name;
}

/// A file of one tensor "a" with `members`, and `data_bytes` of data.
std::string one_tensor(std::string_view members, size_t data_bytes) {
  return safetensors_bytes(fmt::format(R"({{"a":{{{}}}}})", members), std::string(data_bytes, 'x'));
}
std::string two_tensors(std::string_view offsets_a, std::string_view offsets_b, size_t data_bytes) {
  return safetensors_bytes(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                                       R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                                       offsets_a, offsets_b),
                           std::string(data_bytes, 'x'));
}
std::string nested(int levels) {
  return safetensors_bytes(R"({"a":{"shape":)" + std::string(static_cast<size_t>(levels), '['), "");
}

const std::string kGood = one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 8);

const Corruption kCorruptions[] = {
    {"Empty", "", "0 bytes are too few for a safetensors file"},
    {"SevenBytes", "\1\0\0\0\0\0\0", "too few for a safetensors file"},
    {"TruncatedHeader", kGood.substr(0, 30), "a header of 54 bytes is announced, but only 22 bytes follow: truncated"},
    {"TruncatedData", kGood.substr(0, kGood.size() - 1),
     R"(tensor "a" lies at bytes 0 to 8, but the file has only 7 bytes of data: truncated?)"},
    {"HeaderLengthBeyondFile", safetensors_bytes("{}", "", 3),
     "a header of 3 bytes is announced, but only 2 bytes follow"},
    {"HeaderLengthOverLimit", safetensors_bytes("{}", "", 100'000'001),
     "a header of 100000001 bytes is announced, at most 100000000 are allowed"},
    {"HeaderLengthHuge", std::string(8, '\xFF') + "{}", "a header of 18446744073709551615 bytes is announced"},
    {"HeaderLengthTooSmall", safetensors_bytes("{}  ", "", 1), "not valid JSON"},
    {"HeaderLengthZero", safetensors_bytes("", "{}", 0), "the header must start with '{'"},
    {"GitLfsPointer", "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
    {"PyTorchZip", std::string("PK\3\4\0\0\0\0\0\0", 10), "looks like a PyTorch zip file"},
    {"ByteOrderMark", safetensors_bytes("\xEF\xBB\xBF{}", ""), "the header must start with '{'"},
    {"LeadingSpace", safetensors_bytes(" {}", ""), "the header must start with '{'"},
    {"Array", safetensors_bytes("[]", ""), "the header must start with '{'"},
    {"BrokenJson", safetensors_bytes("{\"a\":}", ""), "not valid JSON"},
    {"BytesAfterJson", safetensors_bytes("{}x", ""), "not valid JSON"},
    {"NulPadding", safetensors_bytes(std::string_view("{}\0\0", 4), ""), "not valid JSON: a NUL byte at 2"},
    {"NonUtf8Name", safetensors_bytes("{\"a\xFF\":{}}", ""), "not valid JSON"},
    {"OverlongUtf8", safetensors_bytes("{\"\xC0\xAF\":{}}", ""), "not valid JSON"},
    {"DeepNesting", nested(1'000'000), R"("a" member "shape" must be an array of integers, found an array)"},
    {"DuplicateNames",
     safetensors_bytes(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                       R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                       ""),
     R"(the key "a" stands twice in one object)"},
    {"DuplicateNamesByEscape",
     safetensors_bytes(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{}})", ""),
     R"(the key "a" stands twice in one object)"},
    {"DuplicateShape", one_tensor(R"("dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1])", 1),
     R"(the key "shape" stands twice in one object)"},
    {"DuplicateMetadata", safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})", ""),
     R"(the key "__metadata__" stands twice)"},
    {"TensorIsNumber", safetensors_bytes(R"({"a":1})", ""),
     R"("a" must be an object (dtype, shape, data_offsets), found a number)"},
    {"TensorIsArray", safetensors_bytes(R"({"a":[]})", ""),
     R"("a" must be an object (dtype, shape, data_offsets), found an array)"},
    {"MetadataIsText", safetensors_bytes(R"({"__metadata__":"x"})", ""),
     R"("__metadata__" must be an object of strings, found a string)"},
    {"MetadataHoldsNumber", safetensors_bytes(R"({"__metadata__":{"n":1}})", ""),
     R"("__metadata__" member "n" must be an object of strings, found a number)"},
    {"MetadataHoldsObject", safetensors_bytes(R"({"__metadata__":{"n":{}}})", ""), "found an object"},
    {"NoDtype", one_tensor(R"("shape":[1],"data_offsets":[0,1])", 1), R"(tensor "a" has no "dtype")"},
    {"NoShape", one_tensor(R"("dtype":"U8","data_offsets":[0,1])", 1), R"(tensor "a" has no "shape")"},
    {"NoOffsets", one_tensor(R"("dtype":"U8","shape":[1])", 1),
     R"(tensor "a" must have "data_offsets" of two numbers, found 0)"},
    {"OneOffset", one_tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0])", 1), "of two numbers, found 1"},
    {"ThreeOffsets", one_tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,1])", 1), "of two numbers, found 3"},
    {"UnknownMember", one_tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"stride":1)", 1),
     R"("a" member "stride" is not known; a tensor has dtype, shape and data_offsets)"},
    {"UnknownDtype", one_tensor(R"("dtype":"F128","shape":[1],"data_offsets":[0,16])", 16),
     R"(tensor "a" has the unknown dtype "F128")"},
    {"DtypeIsNumber", one_tensor(R"("dtype":32,"shape":[1],"data_offsets":[0,4])", 4),
     R"("a" member "dtype" must be a string, found a number)"},
    {"WrongDtype", one_tensor(R"("dtype":"F64","shape":[2],"data_offsets":[0,8])", 8),
     R"(tensor "a" of F64 needs 16 bytes by its shape, but its range holds 8)"},
    {"WrongShape", one_tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", 8),
     R"(tensor "a" of F32 needs 12 bytes by its shape, but its range holds 8)"},
    {"HalfByte", one_tensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])", 1),
     R"(tensor "a" of F4 needs 2 bytes by its shape, but its range holds 1)"},
    {"NegativeSize", one_tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", 8),
     R"("shape" of tensor "a" must hold integers from 0 to 2^63-1, found a negative number)"},
    {"FractionalSize", one_tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", 8),
     R"("shape" of tensor "a" must hold integers from 0 to 2^63-1, found a number with a fraction)"},
    {"TextSize", one_tensor(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])", 8), "found a string"},
    {"SizeOver63Bits", one_tensor(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])", 8),
     R"("shape" of tensor "a" must hold integers from 0 to 2^63-1)"},
    {"SizeOver64Bits", one_tensor(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])", 8),
     "found a number with a fraction or too large"},
    {"OverflowToZero", one_tensor(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0),
     R"(tensor "a" has an impossible shape: its size overflows)"},
    {"OverflowToSmall", one_tensor(R"("dtype":"F32","shape":[2305843009213693953,2],"data_offsets":[0,8])", 8),
     R"(tensor "a" has an impossible shape: its size overflows)"},
    {"OverflowBeforeZero", one_tensor(R"("dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0])", 0),
     R"(tensor "a" has an impossible shape: its size overflows)"},
    {"OverflowAfterZero", one_tensor(R"("dtype":"U8","shape":[0,9223372036854775807],"data_offsets":[0,0])", 0),
     R"(tensor "a" has an impossible shape: its size overflows)"},
    {"EndBeforeBegin", one_tensor(R"("dtype":"U8","shape":[0],"data_offsets":[4,0])", 4),
     R"(tensor "a" ends at byte 0, before it begins at 4)"},
    {"OutOfFile", one_tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 4),
     R"(tensor "a" lies at bytes 0 to 8, but the file has only 4 bytes of data)"},
    {"OffsetHuge",
     one_tensor(R"("dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807])", 4),
     "but the file has only 4 bytes of data"},
    {"NegativeOffset", one_tensor(R"("dtype":"U8","shape":[1],"data_offsets":[-1,0])", 4),
     R"("data_offsets" of tensor "a" must hold integers)"},
    {"Overlap", two_tensors("[0,4]", "[3,7]", 7), R"(tensors "a" and "b" overlap: bytes 0 to 4, and 3 to 7)"},
    {"SameRange", two_tensors("[0,4]", "[0,4]", 4), R"(tensors "a" and "b" overlap: bytes 0 to 4, and 0 to 4)"},
    {"HoleBetween", two_tensors("[5,9]", "[0,4]", 9), R"(a hole: bytes 4 to 5 before tensor "a" belong to no tensor)"},
    {"HoleAtStart", two_tensors("[1,5]", "[5,9]", 9), R"(a hole: bytes 0 to 1 before tensor "a" belong to no tensor)"},
    {"HoleAtEnd", two_tensors("[0,4]", "[4,8]", 10), "a hole: the last 2 bytes (from 8 of 10) belong to no tensor"},
    {"DataWithoutTensors", safetensors_bytes("{}", "x"), "a hole: the last 1 bytes (from 0 of 1)"},
};

class Corrupt : public ::testing::TestWithParam<Corruption> {};

TEST_P(Corrupt, IsRefusedWithReason) {
  expect_error(ErrorCode::kFormat, {"m.safetensors: ", GetParam().words}, [] { parse(GetParam().bytes); });
}

INSTANTIATE_TEST_SUITE_P(SafetensorsHeader, Corrupt, ::testing::ValuesIn(kCorruptions),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(SafetensorsHeader, TheGoodFileOfTheCorruptionsIsGood) {
  EXPECT_EQ(parse(kGood).tensors.size(), 1u);
}

TEST(SafetensorsHeader, LongAndWildNamesAreShownShortAndEscaped) {
  const std::string header = "{\"" + std::string(5000, 'n') + "\\n\\u0007\":1}";
  try {
    parse(safetensors_bytes(header, ""));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 400u);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("nnn...nnn"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("\\n\\u0007"));
  }
}

TEST(SafetensorsHeader, EveryTruncationAndEveryByteChangedEitherParsesOrIsAnError) {
  const std::string good =
      safetensors_bytes(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},)"
                        R"("a":{"data_offsets":[0,4],"shape":[],"dtype":"I32"}})",
                        std::string(12, 'x'));
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_THROW(parse(good.substr(0, n)), Error) << "of " << n << " bytes";
  }
  int refused = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(value);
      try {
        const SafetensorsHeader header = parse(bytes);
        for (const StoredTensor& tensor : header.tensors) ASSERT_LE(header.data_begin + tensor.end, bytes.size());
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 20000);
}

}  // namespace
}  // namespace cloze
