#include "cloze/transfer/ensemble.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cloze/base/suggest.h"
#include "cloze/task/class_answers.h"
#include "cloze/task/class_labels.h"
#include "cloze/transfer/frozen_classification.h"

namespace cloze {
namespace {

constexpr int kFormat = 1;
constexpr size_t kMostMembers = 64;
std::string member_name(size_t i) {
  return fmt::format("member-{}", i + 1);
}

std::vector<Path> folders_of(const ModelFiles& files, const Json& json, const std::string& where) {
  CLOZE_CHECK(json_int(json, "format", where) == kFormat, ErrorCode::kUnsupported,
              "{}: \"format\" {} is not {}, which this program reads", where, json_int(json, "format", where), kFormat);
  const int64_t count = json_int(json, "members", where);
  CLOZE_CHECK(count >= 2 && count <= static_cast<int64_t>(kMostMembers), ErrorCode::kFormat,
              "{}: \"members\" must be 2 to {}, got {}", where, kMostMembers, count);
  std::vector<Path> folders;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) folders.push_back(files.path(member_name(i)));
  return folders;
}

}  // namespace

std::vector<Path> single_models(const Path& model) {
  const ModelFiles files = ModelFiles::open(model);
  if (!files.has(ModelFiles::kEnsemble)) return {model};
  return folders_of(files, files.read_json(ModelFiles::kEnsemble), files.path(ModelFiles::kEnsemble).string());
}

Ensemble::Ensemble(const std::vector<Path>& members, const LoadOptions& options) : folders_(members) {
  CLOZE_CHECK(members.size() >= 2 && members.size() <= kMostMembers, ErrorCode::kUsage,
              "an ensemble takes 2 to {} models, got {}", kMostMembers, members.size());
  extra_begin_.push_back(0);
  for (const Path& folder : members) {
    const ModelFiles files = ModelFiles::open(folder);
    CLOZE_CHECK(!files.has(ModelFiles::kEnsemble), ErrorCode::kUsage,
                "{} is an ensemble itself; name its members ({}, …) instead", folder.string(),
                (folder / member_name(0)).string());
    members_.push_back(load_predictor(files, "text-classification", options));
    const std::vector<std::string>&labels = class_labels(), &own = members_.back()->class_labels();
    std::vector<size_t> order;
    for (const std::string& label : labels) {
      const auto found = std::ranges::find(own, label);
      CLOZE_CHECK(found != own.end(), ErrorCode::kUsage, "{} does not know the label \"{}\" of {}; it has {}",
                  folder.string(), label, members[0].string(), shorten_list(own));
      order.push_back(static_cast<size_t>(found - own.begin()));
    }
    CLOZE_CHECK(own.size() == labels.size(), ErrorCode::kUsage, "{} has {} labels, {} has {}", folder.string(),
                own.size(), members[0].string(), labels.size());
    order_.push_back(std::move(order));
    extra_begin_.push_back(extra_begin_.back() + members_.back()->prediction_columns().extra.size());
  }
  weights_.assign(members_.size(), 1 / static_cast<double>(members_.size()));
}

std::unique_ptr<Ensemble> Ensemble::load(const ModelFiles& files, const LoadOptions& options) {
  const Json json = files.read_json(ModelFiles::kEnsemble);
  const std::string where = files.path(ModelFiles::kEnsemble).string();
  const std::vector<Path> folders = folders_of(files, json, where);
  const auto count = std::ssize(folders);
  auto ensemble = std::make_unique<Ensemble>(folders, options);
  const std::string method = json_string(json, "method", where);
  CLOZE_CHECK(method == "average" || method == "stacking", ErrorCode::kFormat,
              "{}: \"method\" must be average or stacking, got \"{}\"", where, method);
  if (method == "average") {
    const auto weights = json.find("weights");
    CLOZE_CHECK(weights != json.end() && weights->is_array() &&
                    std::ranges::all_of(*weights, [](const Json& value) { return value.is_number(); }),
                ErrorCode::kFormat, "{}: expected an array of numbers under \"weights\"", where);
    ensemble->set_weights(weights->get<std::vector<double>>());
    return ensemble;
  }
  ensemble->stack_ = load_classifier(files);
  const int64_t classes = static_cast<int64_t>(ensemble->class_labels().size());
  CLOZE_CHECK(ensemble->stack_->dimension() == count * classes && ensemble->stack_->classes() == classes,
              ErrorCode::kFormat, "{}: the classifier was fitted on {} numbers for {} classes, not on {} for {}", where,
              ensemble->stack_->dimension(), ensemble->stack_->classes(), count * classes, classes);
  return ensemble;
}

void Ensemble::set_weights(const std::vector<double>& weights) {
  CLOZE_CHECK(weights.size() == size(), ErrorCode::kUsage, "an ensemble of {} models takes as many weights, got {}",
              size(), weights.size());
  for (const double weight : weights)
    CLOZE_CHECK(weight >= 0 && std::isfinite(weight), ErrorCode::kUsage, "a weight must not be negative, got {}",
                weight);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  CLOZE_CHECK(sum > 0 && std::isfinite(sum), ErrorCode::kUsage, "the weights of an ensemble must not all be 0");
  for (size_t i = 0; i < weights.size(); ++i) weights_[i] = weights[i] / sum;
}

void Ensemble::stack(std::span<const TextExample> rows, const std::string& file, uint64_t seed) {
  EncodedRows encoded;
  const Tensor x = log_probabilities(probabilities(rows, file, encoded));
  const std::vector<int> labels = label_ids(rows, class_labels(), file);
  stack_ = fit_classifier({x, labels, static_cast<int>(class_labels().size()), {}, class_labels()}, {}, seed);
}

std::vector<std::string> Ensemble::summary() const {
  return stack_ != nullptr ? stack_->summary : std::vector<std::string>();
}

void Ensemble::save(const Path& folder) const {
  CLOZE_CHECK(!std::filesystem::exists(folder) || std::filesystem::is_empty(folder), ErrorCode::kUsage,
              "{} is not empty; choose another folder", folder.string());
  const ModelFiles files = ModelFiles::create(folder);
  for (size_t i = 0; i < size(); ++i) copy_model_files(folders_[i], files.path(member_name(i)));
  if (stack_ != nullptr) save_classifier(*stack_, files);
  Json json = {{"format", kFormat}, {"method", stack_ != nullptr ? "stacking" : "average"}, {"members", size()}};
  if (stack_ == nullptr) json["weights"] = weights_;
  files.write_json(ModelFiles::kEnsemble, json);
}

ColumnOptions Ensemble::columns(Need label) const {
  ColumnOptions columns;
  columns.label_need = label;
  for (const auto& member : members_) {
    const std::vector<std::string> own = member->prediction_columns().extra;
    columns.extra.insert(columns.extra.end(), own.begin(), own.end());
  }
  return columns;
}

TextExample Ensemble::own_row(const TextExample& row, size_t i) const {
  TextExample own = row;
  const auto begin = row.extra.begin();
  own.extra.clear();
  if (row.extra.size() >= extra_begin_.back())
    own.extra.assign(begin + static_cast<std::ptrdiff_t>(extra_begin_[i]),
                     begin + static_cast<std::ptrdiff_t>(extra_begin_[i + 1]));
  return own;
}

TextExample Ensemble::sample_row() const {
  TextExample row = members_[0]->sample_row();
  row.extra.assign(extra_begin_.back(), "");
  return row;
}

void Ensemble::check(const TextExample& row, const std::string& file) const {
  for (size_t i = 0; i < size(); ++i) members_[i]->check(own_row(row, i), file);
}

std::vector<Tensor> Ensemble::probabilities(std::span<const TextExample> rows, const std::string& file,
                                            EncodedRows& encoded) {
  std::vector<Tensor> each;
  const int64_t C = static_cast<int64_t>(class_labels().size());
  for (size_t i = 0; i < size(); ++i) {
    std::vector<TextExample> own;
    if (extra_begin_.back() > 0)
      for (const TextExample& row : rows) own.push_back(own_row(row, i));
    ClassifiedRows found = members_[i]->classify(own.empty() ? rows : std::span<const TextExample>(own), file);
    const Tensor ordered(found.probabilities.shape(), DType::kF32);
    for (int64_t n = 0; n < ordered.shape()[0]; ++n)
      for (size_t c = 0; c < order_[i].size(); ++c)
        ordered.data<float>()[n * C + static_cast<int64_t>(c)] =
            found.probabilities.data<float>()[n * C + static_cast<int64_t>(order_[i][c])];
    each.push_back(ordered);
    if (i == 0) encoded = std::move(found.rows);
  }
  return each;
}

Tensor Ensemble::log_probabilities(const std::vector<Tensor>& each) {
  const int64_t N = each[0].shape()[0], C = each[0].shape()[1], K = static_cast<int64_t>(each.size());
  const Tensor x({N, K * C}, DType::kF32);
  for (int64_t k = 0; k < K; ++k)
    for (int64_t n = 0; n < N; ++n)
      for (int64_t c = 0; c < C; ++c)
        x.data<float>()[(n * K + k) * C + c] =
            std::log(std::max(each[static_cast<size_t>(k)].data<float>()[n * C + c], 1e-6F));
  return x;
}

Tensor Ensemble::combine(const std::vector<Tensor>& each) const {
  if (stack_ != nullptr) return stack_->probabilities(log_probabilities(each));
  const Tensor mean(each[0].shape(), DType::kF32);
  for (int64_t i = 0; i < mean.elements(); ++i) {
    double sum = 0;
    for (size_t k = 0; k < size(); ++k) sum += weights_[k] * static_cast<double>(each[k].data<float>()[i]);
    mean.data<float>()[i] = static_cast<float>(sum);
  }
  return mean;
}

ClassifiedRows Ensemble::classify(std::span<const TextExample> rows, const std::string& file) {
  ClassifiedRows result;
  const std::vector<Tensor> each = probabilities(rows, file, result.rows);
  result.probabilities = combine(each);
  return result;
}

Evaluation Ensemble::evaluate_member(size_t i, std::span<const TextExample> rows, const std::string& file) {
  std::vector<TextExample> own;
  for (const TextExample& row : rows) own.push_back(own_row(row, i));
  return members_[i]->evaluate(own, file);
}

Answers Ensemble::predict(std::span<const TextExample> rows) {
  const ClassifiedRows found = classify(rows, "the row");
  return class_answers(found.probabilities, class_labels(), found.rows);
}

Evaluation Ensemble::evaluate(std::span<const TextExample> rows, const std::string& file) {
  const ClassifiedRows found = classify(rows, file);
  return evaluate_classes(found.probabilities, class_labels(), found.rows, label_ids(rows, class_labels(), file));
}

}  // namespace cloze
