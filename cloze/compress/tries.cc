#include "cloze/compress/tries.h"

#include <cmath>
#include <system_error>
#include <utility>
#include <vector>

#include "cloze/base/error.h"
#include "cloze/base/fields.h"

namespace cloze {
namespace {

constexpr const char* kState = "search.json";
constexpr size_t kMostStateBytes = 1 << 20;
constexpr int64_t kMostEnded = 10000;

}  // namespace

Tries::Tries(Path folder, Json run, Start start) : folder_(std::move(folder)), run_(std::move(run)) {
  const Path state = folder_ / kState;
  std::error_code error;
  const bool there = std::filesystem::exists(std::filesystem::symlink_status(folder_, error));
  // An empty one is left by a kill at the very beginning.
  if (!there || (std::filesystem::is_directory(folder_, error) && std::filesystem::is_empty(folder_, error))) {
    std::filesystem::create_directories(folder_, error);
    CLOZE_CHECK(!error, ErrorCode::kIo, "cannot make {}: {}", folder_.string(), error.message());
    lock_ = std::make_unique<FolderLock>(folder_);
    write_state();
    return;
  }
  CLOZE_CHECK(std::filesystem::exists(state, error), ErrorCode::kUsage,
              "{} is in the way: it does not hold what a stopped run has tried", folder_.string());
  lock_ = std::make_unique<FolderLock>(folder_);
  const Json stored = parse_json(read_file(state, kMostStateBytes), state.string());
  if (start == Start::kResume) {
    read_state(stored, state.string());
  } else {  // killed before its first step ended, it holds nothing that is worth a word
    CLOZE_CHECK(stored.is_object() && json_int(stored, "ended", state.string()) == 0, ErrorCode::kUsage,
                "{} holds what a stopped run has tried: go on with --resume, or remove it", folder_.string());
  }
  remove_begun();
  write_state();
}

void Tries::read_state(const Json& state, const std::string& where) {
  CLOZE_CHECK(state.is_object() && state.contains("run"), ErrorCode::kFormat, "{}: \"run\" is missing", where);
  const std::string differences = describe_differences(state["run"], run_);
  CLOZE_CHECK(
      differences.empty(), ErrorCode::kUsage,
      "{}: the run was started with other options, rows or model:\n{}Give the same, or remove {} and start anew", where,
      differences, folder_.string());
  const int64_t ended = json_int(state, "ended", where);
  wanted_ = json_number(state, "wanted", where);
  CLOZE_CHECK(ended >= 0 && ended <= kMostEnded && std::isfinite(wanted_) && (ended == 0 || wanted_ > 1),
              ErrorCode::kFormat, "{}: {} ended steps on the way to {} times as fast cannot be", where, ended, wanted_);
  for (int64_t number = 1; number <= ended; ++number)
    CLOZE_CHECK(std::filesystem::is_directory(step(number)), ErrorCode::kNotFound, "{} is not there any more",
                step(number).string());
  ended_ = ended;
}

/// What a stopped search may have left half done.
void Tries::remove_begun() {
  std::vector<Path> begun;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const Path name = entry.path().filename();
    bool whole = name == kState;
    for (int64_t number = 1; number <= ended_; ++number) whole = whole || name == step(number).filename();
    if (!whole) begun.push_back(entry.path());
  }
  for (const Path& path : begun) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    CLOZE_CHECK(!error, ErrorCode::kIo, "cannot remove {}: {}", path.string(), error.message());
  }
}

void Tries::write_state() const {
  Json state;
  state["ended"] = ended_;
  state["wanted"] = wanted_;
  state["run"] = run_;
  write_file(folder_ / kState, dump_json(state));
}

Tries::~Tries() {
  if (ended_ > 0) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Path Tries::step(int64_t number) const {
  return folder_ / fmt::format("step-{}", number);
}

void Tries::end_step() {
  ++ended_;
  write_state();
}

void Tries::remove() {
  ended_ = 0;
  std::filesystem::remove_all(folder_);
}

}  // namespace cloze
