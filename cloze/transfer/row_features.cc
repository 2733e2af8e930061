#include "cloze/transfer/row_features.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cloze/base/suggest.h"
#include "cloze/transfer/feature_groups.h"

namespace cloze {
namespace {

constexpr int kFeaturesVersion = 1;

/// "tfidf-words=500": how many. Errors: kUsage.
int64_t terms_of(const FeatureSpec& spec) {
  if (spec.argument.empty()) return kDefaultTerms;
  int64_t terms = 0;
  const char* end = spec.argument.data() + spec.argument.size();
  const auto [stop, error] = std::from_chars(spec.argument.data(), end, terms);
  CLOZE_CHECK(error == std::errc() && stop == end && terms >= 1 && terms <= 100'000, ErrorCode::kUsage,
              "--features {}: how many terms to keep must be 1 to 100000", spec.text());
  return terms;
}

bool reads_column(const FeatureSpec& spec) {
  return spec.kind == "numeric" || spec.kind == "category";
}

FeatureGroupPtr fit_group(const FeatureSpec& spec, const FeatureRows& rows, size_t extra) {
  if (spec.kind == "numeric") return fit_numeric(spec.argument, rows, extra);
  if (spec.kind == "category") return fit_category(spec.argument, rows, extra);
  if (spec.kind == "lexicon") return fit_lexicon(spec.argument, rows);
  if (spec.kind == "encoder") return fit_encoder(spec.argument, rows);
  return fit_tfidf(spec.kind == "tfidf-words", terms_of(spec), rows);
}

FeatureGroupPtr load_group(const Json& json, const ModelFiles& files, const std::string& where) {
  const std::string kind = json_string(json, "kind", where);
  if (kind == "numeric") return load_numeric(json, where);
  if (kind == "category") return load_category(json, where);
  if (kind == "lexicon") return load_lexicon(json, where);
  if (kind == "encoder") return load_encoder(json, files, where);
  if (kind == "tfidf-words" || kind == "tfidf-chars") return load_tfidf(kind == "tfidf-words", json, where);
  fail(ErrorCode::kFormat, "{}: unknown \"kind\" \"{}\" of features", where, kind);
}

}  // namespace

FeatureSpec parse_feature(const std::string& text) {
  const size_t at = text.find('=');
  FeatureSpec spec{text.substr(0, at), at == std::string::npos ? "" : text.substr(at + 1)};
  const std::vector<std::string> kinds = {"numeric", "category", "lexicon", "tfidf-words", "tfidf-chars", "encoder"};
  CLOZE_CHECK(std::ranges::find(kinds, spec.kind) != kinds.end(), ErrorCode::kUsage,
              "--features: unknown \"{}\"{}; there are numeric=COLUMN, category=COLUMN, lexicon=FILE, "
              "tfidf-words[=TERMS], tfidf-chars[=TERMS], encoder=DIR[:POOLING]",
              spec.kind, did_you_mean(spec.kind, kinds));
  const bool optional = spec.kind.starts_with("tfidf");
  CLOZE_CHECK(optional || !spec.argument.empty(), ErrorCode::kUsage, "--features {}: say of which, as in {}={}", text,
              spec.kind,
              reads_column(spec)       ? "COLUMN"
              : spec.kind == "lexicon" ? "FILE"
                                       : "DIR");
  if (optional) terms_of(spec);
  return spec;
}

std::vector<std::string> feature_columns(const std::vector<FeatureSpec>& specs) {
  std::vector<std::string> columns;
  for (const FeatureSpec& spec : specs)
    if (reads_column(spec)) columns.push_back(spec.argument);
  return columns;
}

void column_scale(const Tensor& x, int64_t begin, int64_t width, std::vector<float>& mean, std::vector<float>& scale) {
  const int64_t N = x.shape()[0], D = x.shape()[1];
  mean.assign(static_cast<size_t>(width), 0);
  scale.assign(static_cast<size_t>(width), 0);
  for (int64_t d = 0; d < width; ++d) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < N; ++n) sum += static_cast<double>(x.data<float>()[n * D + begin + d]);
    const double m = sum / static_cast<double>(N);
    for (int64_t n = 0; n < N; ++n) squares += std::pow(static_cast<double>(x.data<float>()[n * D + begin + d]) - m, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(N));
    mean[static_cast<size_t>(d)] = static_cast<float>(m);
    // What rounding leaves of a constant is no signal.
    if (deviation > 1e-6 * std::abs(m) && deviation > 1e-30)
      scale[static_cast<size_t>(d)] = static_cast<float>(1 / deviation);
  }
}

void apply_scale(const Tensor& x, int64_t begin, std::span<const float> mean, std::span<const float> scale,
                 double factor) {
  const int64_t N = x.shape()[0], D = x.shape()[1];
  for (int64_t n = 0; n < N; ++n)
    for (size_t d = 0; d < mean.size(); ++d) {
      float& value = x.data<float>()[n * D + begin + static_cast<int64_t>(d)];
      value = static_cast<float>(static_cast<double>((value - mean[d]) * scale[d]) * factor);
    }
}

Json floats_to_json(std::span<const float> values) {
  Json json = Json::array();
  for (const float value : values) json.push_back(static_cast<double>(value));
  return json;
}

std::vector<float> floats_of(const Json& json, const char* key, const std::string& where) {
  const auto found = json.find(key);
  CLOZE_CHECK(found != json.end() && found->is_array(), ErrorCode::kFormat, "{}: expected an array under \"{}\"", where,
              key);
  std::vector<float> values;
  for (const Json& value : *found) {
    CLOZE_CHECK(value.is_number() && std::isfinite(value.get<double>()) && std::abs(value.get<double>()) < 3e38,
                ErrorCode::kFormat, "{}: expected finite numbers under \"{}\"", where, key);
    values.push_back(value.get<float>());
  }
  return values;
}

void JoinedFeatures::fit_text(const Tensor& vectors) {
  column_scale(vectors, 0, vectors.shape()[1], mean_, scale_);
}

/// For the scale of text vectors, which comes later.
constexpr size_t kLeastLeft = size_t{1} << 20;

JoinedFeatures JoinedFeatures::fit(const std::vector<FeatureSpec>& specs, const FeatureRows& rows) {
  JoinedFeatures joined;
  CLOZE_CHECK(std::ranges::count(specs, "encoder", &FeatureSpec::kind) <= 1, ErrorCode::kUsage,
              "--features takes one second encoder, not several");
  size_t extra = 0;
  for (const FeatureSpec& spec : specs) {
    const FeatureGroupPtr group = fit_group(spec, rows, extra);
    if (reads_column(spec)) {
      group->column = spec.argument;
      ++extra;
    }
    joined.groups_.push_back(group);
  }
  // Better said now than when the trained model cannot be read.
  const size_t bytes = dump_json(joined.to_json()).size();
  CLOZE_CHECK(bytes < ModelFiles::kMostJsonBytes - kLeastLeft, ErrorCode::kValue,
              "these features take {} MB of {}, which may have {}: give fewer terms or a smaller lexicon", bytes >> 20,
              kFile, ModelFiles::kMostJsonBytes >> 20);
  return joined;
}

int64_t JoinedFeatures::width() const {
  int64_t width = text_width();
  for (const auto& group : groups_) width += group->width();
  return width;
}

Tensor JoinedFeatures::join(const Tensor& vectors, std::span<const TextExample> rows, const std::string& file) const {
  const int64_t N = vectors.shape()[0], D = text_width(), W = width();
  CLOZE_CHECK(vectors.shape()[1] == D && N == static_cast<int64_t>(rows.size()), ErrorCode::kShape,
              "[join] vectors must be [{},{}], got {}", rows.size(), D, vectors.shape());
  const Tensor x = Tensor::zeros({N, W}, DType::kF32);
  for (int64_t n = 0; n < N; ++n) std::copy_n(vectors.data<float>() + n * D, D, x.data<float>() + n * W);
  apply_scale(x, 0, mean_, scale_, std::sqrt(kGroupSquare / static_cast<double>(D)));
  fill_groups(rows, file, x);
  return x;
}

Tensor JoinedFeatures::numbers(std::span<const TextExample> rows, const std::string& file) const {
  const Tensor x = Tensor::zeros({static_cast<int64_t>(rows.size()), width()}, DType::kF32);
  fill_groups(rows, file, x);
  int64_t begin = text_width();
  for (const auto& group : groups_) {
    const std::vector<float> mean(static_cast<size_t>(group->width()), 0), scale(mean.size(), 1);
    if (!group->fills_square()) apply_scale(x, begin, mean, scale, kNumberGain);
    begin += group->width();
  }
  return x;
}

void JoinedFeatures::fill_groups(std::span<const TextExample> rows, const std::string& file, const Tensor& x) const {
  int64_t begin = text_width();
  size_t extra = 0;
  for (const auto& group : groups_) {
    group->fill(rows, extra, file, x, begin);
    begin += group->width();
    if (!group->column.empty()) ++extra;
  }
}

void JoinedFeatures::check(const TextExample& row, const std::string& file) const {
  size_t extra = 0;
  for (const auto& group : groups_) {
    group->check(row, extra, file);
    if (!group->column.empty()) ++extra;
  }
}

std::vector<std::string> JoinedFeatures::columns() const {
  std::vector<std::string> columns;
  for (const auto& group : groups_)
    if (!group->column.empty()) columns.push_back(group->column);
  return columns;
}

std::vector<std::string> JoinedFeatures::summary() const {
  std::vector<std::string> lines;
  for (const auto& group : groups_)
    if (!group->summary.empty()) lines.push_back(group->summary);
  return lines;
}

Json JoinedFeatures::to_json() const {
  Json groups = Json::array();
  for (const auto& group : groups_) {
    Json json = {{"kind", group->kind()}};
    if (!group->column.empty()) json["column"] = group->column;
    json.update(group->to_json());
    groups.push_back(std::move(json));
  }
  return {{"version", kFeaturesVersion},
          {"text_mean", floats_to_json(mean_)},
          {"text_scale", floats_to_json(scale_)},
          {"groups", groups}};
}

void JoinedFeatures::save(const ModelFiles& files) const {
  for (const auto& group : groups_) group->save_files(files);
  files.write_json(kFile, to_json());
}

JoinedFeatures JoinedFeatures::load(const ModelFiles& files) {
  const Json json = files.read_json(kFile);
  const std::string where = files.path(kFile).string();
  CLOZE_CHECK(json_int(json, "version", where) == kFeaturesVersion, ErrorCode::kUnsupported,
              "{}: \"version\" {} is not {}, which this program reads", where, json_int(json, "version", where),
              kFeaturesVersion);
  JoinedFeatures joined;
  joined.mean_ = floats_of(json, "text_mean", where);
  joined.scale_ = floats_of(json, "text_scale", where);
  CLOZE_CHECK(joined.mean_.size() == joined.scale_.size(), ErrorCode::kFormat,
              "{}: \"text_mean\" and \"text_scale\" must be of one length", where);
  const auto groups = json.find("groups");
  CLOZE_CHECK(groups != json.end() && groups->is_array(), ErrorCode::kFormat, "{}: expected an array under \"groups\"",
              where);
  for (const Json& group : *groups) {
    CLOZE_CHECK(group.is_object(), ErrorCode::kFormat, "{}: expected objects under \"groups\"", where);
    const FeatureGroupPtr loaded = load_group(group, files, where);
    loaded->column = json_string_or(group, "column", "", where);
    const bool wants = loaded->kind() == std::string("numeric") || loaded->kind() == std::string("category");
    CLOZE_CHECK(wants == !loaded->column.empty(), ErrorCode::kFormat, "{}: \"column\" of {} features", where,
                loaded->kind());
    joined.groups_.push_back(loaded);
  }
  return joined;
}

}  // namespace cloze
