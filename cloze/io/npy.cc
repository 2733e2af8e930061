#include "cloze/io/npy.h"

#include <bit>
#include <charconv>
#include <cstring>

namespace cloze {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);
constexpr size_t kHeaderBytes = 128;  // of what is written: a multiple of 64, with room for any count
static_assert(std::endian::native == std::endian::little, "files are little-endian and mapped as they are");

std::string header_of(int64_t rows, int64_t width) {
  std::string text(kMagic);
  text += static_cast<char>((kHeaderBytes - 10) & 0xFF);
  text += static_cast<char>((kHeaderBytes - 10) >> 8);
  text += fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, width);
  text.resize(kHeaderBytes - 1, ' ');
  return text + '\n';
}

/// The value of a key of the header, a Python literal: what stands between its colon and the next comma outside of
/// parentheses.
std::string_view value_of(std::string_view header, const std::string& key, const std::string& where) {
  const size_t at = header.find("'" + key + "':");
  CLOZE_CHECK(at != std::string_view::npos, ErrorCode::kFormat, "{}: the header of the .npy file lacks '{}'", where,
              key);
  std::string_view rest = header.substr(at + key.size() + 3);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const size_t end = rest.starts_with('(') ? rest.find(')') + 1 : rest.find_first_of(",}");
  CLOZE_CHECK(end != std::string_view::npos && end != 0, ErrorCode::kFormat, "{}: the .npy header is broken at '{}'",
              where, key);
  return rest.substr(0, end);
}

/// "(3, 256)" as two sizes.
Shape shape_of(std::string_view text, const std::string& where) {
  int64_t sizes[2] = {0, 0};
  const char *at = text.data() + 1, *const end = text.data() + text.size();
  bool good = text.size() > 2;
  for (int i = 0; good && i < 2; ++i) {
    while (at < end && *at == ' ') ++at;
    const auto [stop, error] = std::from_chars(at, end, sizes[i]);
    good = error == std::errc() && stop < end && *stop == (i == 0 ? ',' : ')') && sizes[i] >= 0;
    at = stop + 1;
  }
  CLOZE_CHECK(good, ErrorCode::kUnsupported, "{}: the array has the shape {}; a matrix (rows, columns) is expected",
              where, text);
  return Shape({sizes[0], sizes[1]});
}

}  // namespace

NpyWriter::NpyWriter(const Path& path, int64_t width) : file_(path), width_(width) {
  file_.write(header_of(0, width));
}

void NpyWriter::append(const Tensor& x) {
  CLOZE_CHECK(x.shape().rank() == 2 && x.shape()[1] == width_ && x.dtype() == DType::kF32, ErrorCode::kShape,
              "rows of {} F32 are expected, got {}", width_, x.shape());
  file_.write(std::string_view(static_cast<const char*>(x.raw()), static_cast<size_t>(x.bytes())));
  rows_ += x.shape()[0];
}

void NpyWriter::commit() {
  file_.write_at(0, header_of(rows_, width_));
  file_.commit();
}

Tensor read_npy(const Path& path) {
  const std::string where = path.string();
  const std::shared_ptr<MappedFile> file = MappedFile::open(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  CLOZE_CHECK(bytes.size() >= 10 && bytes.starts_with(kMagic.substr(0, 6)), ErrorCode::kFormat,
              "{}: this is not a .npy file", where);
  CLOZE_CHECK(bytes[6] == 1, ErrorCode::kUnsupported, "{}: .npy format version {}; version 1 is read", where,
              static_cast<int>(static_cast<unsigned char>(bytes[6])));
  const size_t length = static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  CLOZE_CHECK(bytes.size() >= 10 + length, ErrorCode::kFormat, "{}: the .npy header is cut short", where);
  const std::string_view header = bytes.substr(10, length);
  const std::string_view descr = value_of(header, "descr", where), order = value_of(header, "fortran_order", where);
  CLOZE_CHECK(descr == "'<f4'" && order == "False", ErrorCode::kUnsupported,
              "{}: the array is {} (fortran_order {}); row-major '<f4' (float32) is read", where, descr, order);
  const Shape shape = shape_of(value_of(header, "shape", where), where);
  const size_t room = (bytes.size() - 10 - length) / sizeof(float);
  // Without a product that could overflow.
  const bool fits = shape[1] == 0 || static_cast<uint64_t>(shape[0]) <= room / static_cast<uint64_t>(shape[1]);
  CLOZE_CHECK(fits && bytes.size() - 10 - length == static_cast<size_t>(shape.elements()) * sizeof(float),
              ErrorCode::kFormat, "{}: the header says {} float32, but {} bytes follow", where, shape,
              bytes.size() - 10 - length);
  std::byte* const data = file->bytes().data() + 10 + length;
  if ((10 + length) % sizeof(float) == 0) return Tensor::view(shape, DType::kF32, data, file);
  const Tensor copy(shape, DType::kF32);
  std::memcpy(copy.raw(), data, static_cast<size_t>(copy.bytes()));
  return copy;
}

}  // namespace cloze
