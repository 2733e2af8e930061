// .npy files: NumPy's own bytes both ways, and broken ones.
#include "cloze/io/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/temporary.h"

namespace cloze {
namespace {

using testing::HasSubstr;

/// A version 1.0 file with this header and these bytes of data.
std::string npy(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

std::string error_of(const Path& path, const std::string& bytes) {
  write_file(path, bytes);
  return test::error_of([&] { read_npy(path); });
}

TEST(NpyTest, WritesWhatNumPyReads) {
  const test::TemporaryFolder folder;
  const Path path = folder.path() / "m.npy";
  NpyWriter writer(path, 2);
  writer.append(Tensor::of(Shape({1, 2}), std::vector<float>{1, 2}));
  writer.append(Tensor::of(Shape({2, 2}), std::vector<float>{3, 4, 5, 6}));
  EXPECT_FALSE(std::filesystem::exists(path));
  writer.commit();
  const std::string bytes = read_file(path);
  // numpy.save gives the same 128 bytes for this shape.
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, 60), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), } ");
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.size(), 128 + 6 * sizeof(float));
  const Tensor back = read_npy(path);
  EXPECT_EQ(back.shape(), Shape({3, 2}));
  EXPECT_THAT(back.values<float>(), testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(NpyTest, ReadsAnUnalignedHeaderAndNoRows) {
  const test::TemporaryFolder folder;
  const Path path = folder.path() / "m.npy";
  const std::string one("\0\0\x80\x3F", 4);
  write_file(path, npy("{'shape':(1,1),'descr':'<f4','fortran_order':False}\n", one));
  EXPECT_THAT(read_npy(path).values<float>(), testing::ElementsAre(1));
  write_file(path, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7), }\n", ""));
  EXPECT_EQ(read_npy(path).shape(), Shape({0, 7}));
}

TEST(NpyTest, RefusesWhatItCannotRead) {
  const test::TemporaryFolder folder;
  const Path path = folder.path() / "m.npy";
  const std::string data(8, '\0');
  EXPECT_THAT(error_of(path, ""), HasSubstr("not a .npy file"));
  EXPECT_THAT(error_of(path, "PK\x03\x04 some other file"), HasSubstr("not a .npy file"));
  EXPECT_THAT(error_of(path, std::string("\x93NUMPY\x02\x00\x00\x00\x00\x00", 12)), HasSubstr("version 2"));
  EXPECT_THAT(error_of(path, npy("{", "").substr(0, 10)), HasSubstr("cut short"));
  EXPECT_THAT(error_of(path, npy("{'fortran_order': False, 'shape': (1, 2)}", data)), HasSubstr("lacks 'descr'"));
  EXPECT_THAT(error_of(path, npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", data)),
              HasSubstr("'<f8'"));
  EXPECT_THAT(error_of(path, npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}", data)),
              HasSubstr("row-major"));
  for (const char* shape : {"(2,)", "()", "(1, 2, 1)", "2", "(-1, 2)", "(1, x)", "(99999999999999999999, 1)"})
    EXPECT_THAT(
        error_of(path, npy(fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}", shape), data)),
        HasSubstr("a matrix (rows, columns) is expected"))
        << shape;
  EXPECT_THAT(error_of(path, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2", data)),
              HasSubstr("broken at 'shape'"));
  for (const char* shape : {"(1, 3)", "(1, 1)", "(4611686018427387904, 4)", "(4611686018427387905, 8)"})
    EXPECT_NE(error_of(path, npy(fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}", shape), data)),
              "no error")
        << shape;
}

TEST(NpyTest, RowsOfAnotherWidthAreRefused) {
  const test::TemporaryFolder folder;
  NpyWriter writer(folder.path() / "m.npy", 2);
  EXPECT_THROW(writer.append(Tensor::zeros({1, 3}, DType::kF32)), Error);
}

}  // namespace
}  // namespace cloze
