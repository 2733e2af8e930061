// The files of a frozen classifier and of a cache of vectors: refused, or good to use. First byte mod 3:
// 0: features.json. 1: classifier.json, a zero byte, the safetensors header's tensors, a zero byte, the tensors' bytes;
// lengths and the settings' copy are put in rightly. 2: a cached segment, behind which a footer is set that fits it.
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "cloze/base/json.h"
#include "cloze/transfer/classifier.h"
#include "cloze/transfer/feature_cache.h"
#include "cloze/transfer/row_features.h"
#include "fuzz/fuzz.h"

namespace cloze::fuzz {
namespace {

const Path& folder() {
  static const MemoryFolder folder;
  return folder.path();
}

void check_finite(const Tensor& x) {
  for (int64_t i = 0; i < x.elements(); ++i) FUZZ_CHECK(std::isfinite(x.data<float>()[i]), "number {}", i);
}

void run_features(std::string_view text) {
  error_of([&] {
    const ModelFiles files = ModelFiles::create(folder());
    write_file(files.path(JoinedFeatures::kFile), text);
    const JoinedFeatures joined = JoinedFeatures::load(files);
    if (joined.width() > 100'000) return;
    std::vector<TextExample> rows(2);
    rows[0].text = "Good x, 好 bad 7";
    for (size_t i = 0; i < joined.columns().size(); ++i) {
      rows[0].extra.emplace_back(i % 2 == 0 ? "2.5" : "a");
      rows[1].extra.emplace_back();
    }
    error_of([&] { check_finite(joined.numbers(rows, "rows")); });
    joined.save(files);
    const std::string written = read_file(files.path(JoinedFeatures::kFile));
    JoinedFeatures::load(files).save(files);
    FUZZ_CHECK(read_file(files.path(JoinedFeatures::kFile)) == written, "{}", written);
  });
}

std::string_view cut(std::string_view& rest) {
  const size_t at = std::min(rest.find('\0'), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

void run_classifier(std::string_view rest) {
  const std::string settings(cut(rest));
  const std::string_view tensors = cut(rest);
  error_of([&] {
    const ModelFiles files = ModelFiles::create(folder());
    Json header = parse_json(tensors, "tensors");
    if (header.is_object()) header["__metadata__"] = {{"classifier", parse_json(settings, "classifier.json").dump()}};
    const std::string head = header.dump();
    const uint64_t length = head.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    write_file(files.path(kClassifierSettings), settings);
    write_file(files.path(kClassifierTensors), bytes + head + std::string(rest));
    const std::unique_ptr<Classifier> classifier = load_classifier(files);
    const int64_t D = classifier->dimension(), C = classifier->classes();
    if (D > 1000 || C > 1000) return;
    const Tensor x = Tensor::zeros({2, D}, DType::kF32);
    x.data<float>()[0] = 1;
    const Tensor p = classifier->probabilities(x);
    FUZZ_CHECK(p.shape() == Shape({2, C}), "{}", p.shape());
    for (int64_t n = 0; n < 2; ++n) {
      double sum = 0;
      for (int64_t c = 0; c < C; ++c) sum += static_cast<double>(p.data<float>()[n * C + c]);
      FUZZ_CHECK(std::abs(sum - 1) < 1e-4, "row {} sums to {}: {}", n, sum, settings);
    }
    save_classifier(*classifier, files);
    FUZZ_CHECK(load_classifier(files)->settings() == classifier->settings(), "{}", settings);
  });
}

void run_cache(Input input) {
  constexpr uint64_t kEncoder = 0x123456789ABCDEF0u;
  const unsigned width = 1 + input.byte() % 4;
  const std::string_view data = input.rest();
  error_of([&] {
    const Path cache = folder() / "cache";
    std::filesystem::create_directories(cache);
    std::string bytes(data);
    const auto crc = [](std::string_view text) {
      return static_cast<uint64_t>(crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
    };
    uint64_t footer[8] = {0, 1, data.size() / (16 + 4 * width), width, kEncoder, 0, crc(data), 0};
    std::memcpy(footer, "CLZFEATS", 8);
    footer[7] = crc({reinterpret_cast<const char*>(footer), 56});
    bytes.append(reinterpret_cast<const char*>(footer), sizeof footer);
    write_file(cache / fmt::format("{:016x}-0.features", kEncoder), bytes);
    const FeatureCache features(cache, kEncoder, width);
    FUZZ_CHECK((features.damaged() == 0) == (data.size() % (16 + 4 * width) == 0), "{} bytes", data.size());
    for (const RowKey& key : {RowKey{0, 0}, RowKey{1, 2}, RowKey{~uint64_t{0}, ~uint64_t{0}}}) {
      const auto found = features.find(key);
      FUZZ_CHECK(found.empty() || found.size() == width, "{}", found.size());
      volatile float sum = 0;
      for (const float value : found) sum = sum + value;
    }
  });
}

void run(Input input) {
  switch (input.byte() % 3) {
    case 0:
      return run_features(input.rest());
    case 1:
      return run_classifier(input.rest());
    default:
      return run_cache(input);
  }
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloze::fuzz::run({data, size});
  return 0;
}
