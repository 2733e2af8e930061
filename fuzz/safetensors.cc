// Safetensors files: the header, every tensor of it, the same through Weights, and written and read again.
// First byte even: the rest is the file. Odd: the rest is the header's text up to a line end, then the data; the
// length before it is put right, which mutation alone would seldom do.
#include <cstring>

#include "cloze/io/weights.h"
#include "fuzz/fuzz.h"

namespace cloze::fuzz {
namespace {

std::string file_of(Input input) {
  if (input.byte() % 2 == 0) return std::string(input.rest());
  const size_t end = std::min(input.rest().find('\n'), input.rest().size());
  const uint64_t length = end;
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file += input.rest().substr(0, end);
  if (end < input.rest().size()) file += input.rest().substr(end + 1);
  return file;
}

std::string_view bytes_of(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes())};
}

/// All tensors that Cloze can use. Each is as long as the header says; floats can be converted.
std::vector<NamedTensor> read_all(const SafetensorsFile& file) {
  std::vector<NamedTensor> tensors;
  for (const StoredTensor& stored : file.tensors()) {
    FUZZ_CHECK(file.find(stored.name) == &stored, "{}", stored.name);
    error_of([&] {
      const Tensor tensor = file.tensor(stored);
      FUZZ_CHECK(static_cast<uint64_t>(tensor.bytes()) == stored.end - stored.begin, "{}", tensor.shape());
      FUZZ_CHECK(bytes_of(tensor.clone()) == bytes_of(tensor), "{}", stored.name);  // touches every byte
      tensors.push_back({stored.name, tensor});
      to_float(tensor, DType::kF32);
    });
  }
  return tensors;
}

void check_round_trip(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata,
                      const Path& path) {
  if (!error_of([&] { write_safetensors(path, tensors, metadata); }).empty()) return;
  const SafetensorsFile file(path);
  FUZZ_CHECK(file.tensors().size() == tensors.size(), "{} tensors", file.tensors().size());
  for (const NamedTensor& old : tensors) {
    const Tensor again = file.tensor(old.name);
    FUZZ_CHECK(again.dtype() == old.tensor.dtype() && again.shape() == old.tensor.shape(), "{}", old.name);
    FUZZ_CHECK(bytes_of(again) == bytes_of(old.tensor), "{}", old.name);
  }
}

void run(const Input& input) {
  static const MemoryFile memory;
  static const MemoryFolder folder;
  static const Path link = [] {
    const Path path = folder.path() / "model.safetensors";
    std::filesystem::create_symlink(memory.path(), path);
    return path;
  }();
  memory.write(file_of(input));
  error_of([&] {
    const SafetensorsFile file(memory.path());
    check_round_trip(read_all(file), file.metadata(), folder.path() / "again");
  });
  error_of([&] {
    Weights weights(link);
    for (const std::string& name : weights.names()) {
      error_of([&] { weights.shape_of(name); });
      error_of([&] {
        if (const auto tensor = weights.find(name)) check_finite(*tensor, name, "file");
      });
    }
    weights.report().text();
  });
  error_of([&] { read_shard_index(memory.path()); });
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({data, size});
  return 0;
}
