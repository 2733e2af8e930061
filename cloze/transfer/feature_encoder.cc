#include <algorithm>
#include <cmath>
#include <optional>

#include "cloze/transfer/feature_cache.h"
#include "cloze/transfer/feature_groups.h"

namespace cloze {
namespace {

constexpr const char* kFolder = "second-encoder";

class SecondEncoder : public FeatureGroup {
 public:
  SecondEncoder(std::unique_ptr<FrozenEncoder> encoder, Poolings poolings, DType stored)
      : encoder_(std::move(encoder)), poolings_(std::move(poolings)), stored_(stored) {}
  const char* kind() const override { return "encoder"; }
  bool fills_square() const override { return true; }
  int64_t width() const override { return vector_width(poolings_, encoder_->config); }
  void fill(std::span<const TextExample> rows, size_t, const std::string&, const Tensor& x,
            int64_t begin) const override {
    put(vectors(rows, cache_folder_), x, begin);
    apply_scale(x, begin, mean_, scale_, std::sqrt(kGroupSquare / static_cast<double>(width())));
  }
  Json to_json() const override {
    return {{"folder", kFolder},
            {"pooling", poolings_text(poolings_)},
            {"mean", floats_to_json(mean_)},
            {"scale", floats_to_json(scale_)}};
  }
  void save_files(const ModelFiles& files) const override {
    save_frozen_encoder(*encoder_, ModelFiles::create(files.path(kFolder)), stored_);
  }

  void fit_scale(const FeatureRows& rows) {
    cache_folder_ = rows.cache_folder;
    const Tensor own = vectors(rows.rows, cache_folder_);
    column_scale(own, 0, own.shape()[1], mean_, scale_);
  }
  void set_scale(std::vector<float> mean, std::vector<float> scale, const std::string& where) {
    CLOZE_CHECK(static_cast<int64_t>(mean.size()) == width() && scale.size() == mean.size(), ErrorCode::kFormat,
                "{}: the second encoder gives vectors of width {}, found {} means and {} scales", where, width(),
                mean.size(), scale.size());
    mean_ = std::move(mean);
    scale_ = std::move(scale);
  }

 private:
  Tensor vectors(std::span<const TextExample> rows, const std::string& folder) const {
    const EncodedRows encoded = encode_rows(encoder_->tokenizer, rows, encoder_->limits);
    std::optional<FeatureCache> cache;
    if (!folder.empty()) cache.emplace(folder, encoder_key(*encoder_, poolings_), width());
    FeatureCounts counts;
    return cached_row_vectors(*encoder_, encoded, poolings_, cache ? &*cache : nullptr, counts);
  }
  static void put(const Tensor& from, const Tensor& to, int64_t begin) {
    const int64_t width = from.shape()[1];
    for (int64_t n = 0; n < from.shape()[0]; ++n)
      std::copy_n(from.data<float>() + n * width, width, to.data<float>() + n * to.shape()[1] + begin);
  }

  std::unique_ptr<FrozenEncoder> encoder_;
  Poolings poolings_;
  DType stored_;
  std::string cache_folder_;
  std::vector<float> mean_, scale_;
};

std::shared_ptr<SecondEncoder> open(const Path& folder, const std::string& pooling) {
  const Poolings poolings = parse_poolings(pooling);
  const ModelFiles files = ModelFiles::open(folder);
  return std::make_shared<SecondEncoder>(load_frozen_encoder(files, poolings, {}), poolings,
                                         Weights(files.dir()).stored_type("bert.embeddings.word_embeddings.weight"));
}

}  // namespace

FeatureGroupPtr fit_encoder(const std::string& argument, const FeatureRows& rows) {
  const size_t colon = std::filesystem::exists(argument) ? std::string::npos : argument.rfind(':');
  const std::string folder = argument.substr(0, colon);
  auto group = open(folder, colon == std::string::npos ? "mean" : argument.substr(colon + 1));
  group->fit_scale(rows);
  group->summary = fmt::format("encoder {}: vectors of {}", folder, group->width());
  return group;
}

FeatureGroupPtr load_encoder(const Json& json, const ModelFiles& files, const std::string& where) {
  CLOZE_CHECK(json_string(json, "folder", where) == kFolder, ErrorCode::kFormat,
              "{}: \"folder\" of the second encoder must be \"{}\"", where, kFolder);
  auto group = open(files.path(kFolder), json_string(json, "pooling", where));
  group->set_scale(floats_of(json, "mean", where), floats_of(json, "scale", where), where);
  return group;
}

}  // namespace cloze
