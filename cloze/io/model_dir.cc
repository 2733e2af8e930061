#include "cloze/io/model_dir.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/io/load_report.h"

namespace cloze {
namespace {

constexpr const char* kExpected = "a model directory: config.json, vocab.txt (or tokenizer.json), model.safetensors";

/// For a file of a model directory that was given in its place.
std::string folder_of(const Path& file) {
  const Path folder = file.has_parent_path() ? file.parent_path() : Path(".");
  std::error_code error;
  if (!std::filesystem::exists(folder / ModelFiles::kConfig, error)) return "";
  return fmt::format("; give the folder that it lies in: {}", folder.string());
}

/// For a folder that holds no model itself: the first of its sub-folders that does.
std::string model_below(const Path& dir, const std::vector<std::string>& names) {
  std::error_code error;
  for (const std::string& name : names)
    if (std::filesystem::exists(dir / name / ModelFiles::kConfig, error))
      return fmt::format("; did you mean {}?", (dir / name).string());
  return "";
}

}  // namespace

ModelFiles ModelFiles::open(const Path& dir) {
  CLOZE_CHECK(!dir.empty(), ErrorCode::kUsage, "the model directory's name is empty; expected {}", kExpected);
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(dir, error);
  CLOZE_CHECK(status.type() != std::filesystem::file_type::not_found, ErrorCode::kNotFound,
              "there is no {}{}; expected {}. Cloze does not download models, by whatever name: give a folder on this "
              "machine",
              dir.string(), missing_path_hint(dir), kExpected);
  CLOZE_CHECK(status.type() != std::filesystem::file_type::none, ErrorCode::kIo, "cannot read {}: {}", dir.string(),
              error.message());
  CLOZE_CHECK(std::filesystem::is_directory(status), ErrorCode::kUsage, "{} is a file; expected {}{}", dir.string(),
              kExpected, folder_of(dir));
  ModelFiles files(dir);
  CLOZE_CHECK(!files.list().empty(), ErrorCode::kNotFound, "the folder {} is empty; expected {}", dir.string(),
              kExpected);
  return files;
}

ModelFiles ModelFiles::create(const Path& dir) {
  make_folder(dir);
  return ModelFiles(dir);
}

bool ModelFiles::has(std::string_view name) const {
  std::error_code error;
  return std::filesystem::exists(path(name), error);
}

Path ModelFiles::require(std::string_view name) const {
  if (has(name)) return path(name);
  const std::vector<std::string> present = list();
  fail(ErrorCode::kNotFound, "no {} in {}, which holds {}; expected {}{}", name, dir_.string(),
       present.empty() ? "nothing" : shorten_names(present), kExpected, model_below(dir_, present));
}

std::vector<std::string> ModelFiles::list() const {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator it(dir_, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  CLOZE_CHECK(!error, ErrorCode::kIo, "cannot read the folder {}: {}", dir_.string(), error.message());
  std::ranges::sort(names);
  return names;
}

Json ModelFiles::read_json(std::string_view name) const {
  const Path file = require(name);
  Json value = parse_json(read_file(file, kMostJsonBytes), file.string());
  CLOZE_CHECK(value.is_object(), ErrorCode::kFormat, "{}: expected a JSON object, found {}", file.string(),
              value.type_name());
  return value;
}

void ModelFiles::write_json(std::string_view name, const Json& value) const {
  write_file(path(name), dump_json(value));
}

void refuse_inside(const Path& from, const Path& to) {
  std::error_code error;
  const auto plain = [&](Path path) {
    if (!path.has_filename()) path = path.parent_path();  // "folder/"
    return std::filesystem::weakly_canonical(path, error);
  };
  const Path source = plain(from), target = plain(to);
  const auto [rest, ignored] = std::mismatch(source.begin(), source.end(), target.begin(), target.end());
  CLOZE_CHECK(rest != source.end(), ErrorCode::kUsage,
              "{} lies in {}, whose files would go there: choose another folder", to.string(), from.string());
}

void copy_model_files(const Path& from, const Path& to, std::span<const std::string_view> without) {
  constexpr std::string_view kLeftByRuns[] = {"resume.safetensors", "metrics.jsonl", "run.json",
                                              "tensorboard",        "adapted",       "seeds.json"};
  refuse_inside(from, to);
  make_folder(to);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(from, error)) {
    const std::string name = entry.path().filename().string();
    const auto is_name = [&](std::string_view other) { return other == name; };
    const bool of_a_seed = entry.is_directory() && name.starts_with("seed-");
    if (of_a_seed || std::ranges::any_of(kLeftByRuns, is_name) || std::ranges::any_of(without, is_name)) continue;
    std::error_code copied;
    std::filesystem::copy(entry.path(), to / name, std::filesystem::copy_options::recursive, copied);
    CLOZE_CHECK(!copied, ErrorCode::kIo, "cannot copy {} to {}: {}", entry.path().string(), to.string(),
                copied.message());
  }
  CLOZE_CHECK(!error, ErrorCode::kIo, "cannot read the folder {}: {}", from.string(), error.message());
}

}  // namespace cloze
