#include "cloze/transfer/classifier_file.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "cloze/io/weights.h"
#include "cloze/transfer/classifier_knn.h"
#include "cloze/transfer/classifier_linear.h"
#include "cloze/transfer/classifier_mlp.h"

namespace cloze {
namespace {

constexpr int64_t kFormatVersion = 1;
constexpr int64_t kMostClasses = 1'000'000;
constexpr int64_t kMostNumbers = 16'777'216;
constexpr const char* kCopyKey = "classifier";  ///< the settings' copy in the tensors' file

int64_t bounded(const Json& settings, const char* key, int64_t least, int64_t most, const std::string& where) {
  const int64_t value = json_int(settings, key, where);
  CLOZE_CHECK(value >= least && value <= most, ErrorCode::kFormat, "{}: \"{}\" is {}, expected {} to {}", where, key,
              value, least, most);
  return value;
}

}  // namespace

std::string one_of(const Json& settings, const char* key, std::initializer_list<std::string_view> words,
                   const std::string& where) {
  std::string word = json_string(settings, key, where);
  CLOZE_CHECK(std::ranges::find(words, word) != words.end(), ErrorCode::kFormat,
              "{}: \"{}\" is \"{}\", expected one of {}", where, key, word, fmt::join(words, ", "));
  return word;
}

void check_tensor_names(const SafetensorsFile& file, std::initializer_list<std::string_view> names) {
  for (const StoredTensor& stored : file.tensors())
    CLOZE_CHECK(std::ranges::find(names, stored.name) != names.end(), ErrorCode::kFormat,
                "{}: holds a tensor \"{}\", which this classifier has not (it has {})", file.path().string(),
                stored.name.substr(0, 100), fmt::join(names, ", "));
  for (const std::string_view name : names)
    CLOZE_CHECK(file.find(name) != nullptr, ErrorCode::kFormat, "{}: there is no tensor \"{}\"", file.path().string(),
                name);
}

Tensor read_tensor(const SafetensorsFile& file, std::string_view name, const Shape& shape, DType dtype) {
  const StoredTensor* stored = file.find(name);
  CLOZE_CHECK(stored != nullptr, ErrorCode::kFormat, "{}: there is no tensor \"{}\"", file.path().string(), name);
  CLOZE_CHECK(
      stored->dtype == (dtype == DType::kF32 ? "F32" : "I32") && std::ranges::equal(stored->shape, shape.dims()),
      ErrorCode::kFormat, "{}: tensor \"{}\" is {} of shape [{}], expected {} of shape {}", file.path().string(), name,
      stored->dtype, fmt::join(stored->shape, ", "), dtype_name(dtype), shape);
  const Tensor tensor = file.tensor(*stored);
  check_finite(tensor, name, file.path().string());
  return tensor;
}

void save_classifier(const Classifier& classifier, const ModelFiles& files) {
  Json settings = {{"format", kFormatVersion},
                   {"classifier", classifier.kind()},
                   {"classes", classifier.classes()},
                   {"dimension", classifier.dimension()}};
  settings.update(classifier.settings());
  files.write_json(kClassifierSettings, settings);
  write_safetensors(files.path(kClassifierTensors), classifier.tensors(), {{kCopyKey, settings.dump()}});
}

std::unique_ptr<Classifier> load_classifier(const ModelFiles& files) {
  const std::string where = files.require(kClassifierSettings).string();
  const Json settings = files.read_json(kClassifierSettings);
  const int64_t version = json_int(settings, "format", where);
  CLOZE_CHECK(version == kFormatVersion, ErrorCode::kUnsupported, "{}: \"format\" is {}, this version reads {}", where,
              version, kFormatVersion);
  const std::string kind = json_string(settings, "classifier", where);
  const int classes = static_cast<int>(bounded(settings, "classes", 2, kMostClasses, where));
  const int64_t dimension = bounded(settings, "dimension", 1, kMostNumbers, where);
  const SafetensorsFile file(files.require(kClassifierTensors));
  const auto copy = file.metadata().find(kCopyKey);
  CLOZE_CHECK(copy != file.metadata().end() && copy->second == settings.dump(), ErrorCode::kFormat,
              "{} and {} come from two different saves (one was replaced, or the writing was cut off): fit the "
              "classifier again",
              where, file.path().string());
  if (kind == "linear" || kind == "svm" || kind == "prototype")
    return LinearClassifier::load(kind, dimension, classes, settings, file, where);
  if (kind == "knn") return KnnClassifier::load(dimension, classes, settings, file, where);
  if (kind == "mlp") return MlpClassifier::load(dimension, classes, settings, file, where);
  fail(ErrorCode::kUnsupported, "{}: \"classifier\" is \"{}\", this version knows linear, svm, knn, prototype and mlp",
       where, kind.substr(0, 100));
}

}  // namespace cloze
