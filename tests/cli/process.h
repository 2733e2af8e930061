// The program in the background, to be killed, and what must hold whenever it was.
#pragma once

#include <signal.h>

#include <chrono>
#include <random>
#include <sstream>
#include <thread>

#include "cloze/base/json.h"
#include "cloze/io/model_dir.h"
#include "cloze/io/safetensors.h"
#include "program.h"

namespace cloze::test {

/// The program in the background, words to a file.
class Process {
 public:
  Process(const std::string& arguments, const Path& words) {
    id_ = ::fork();
    if (id_ != 0) return;
    const std::string command = "exec '" CLOZE_BINARY "' " + arguments + " </dev/null >>'" + words.string() + "' 2>&1";
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    std::_Exit(127);
  }
  /// Waits up to `milliseconds`; true if the process ended by itself.
  bool ended_within(int64_t milliseconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    do {
      if (::waitpid(id_, &status_, WNOHANG) == id_) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (std::chrono::steady_clock::now() < until);
    return false;
  }
  void signal(int number) { ::kill(id_, number); }
  int wait() {
    ::waitpid(id_, &status_, 0);
    return status_;
  }
  int status() const { return status_; }

 private:
  pid_t id_;
  int status_ = 0;
};

/// What stands under a final name is whole, at any moment.
inline void expect_whole_files(const Path& folder) {
  if (!std::filesystem::exists(folder)) return;
  const ModelFiles files = ModelFiles::create(folder);
  for (const char* name : {"config.json", "run.json", "tokenizer.json", "tokenizer_config.json"})
    if (files.has(name)) {
      EXPECT_NO_THROW(files.read_json(name)) << name;
    }
  for (const char* name : {"model.safetensors", "resume.safetensors"})
    if (files.has(name)) {
      EXPECT_NO_THROW(SafetensorsFile(files.path(name))) << name;
    }
  if (files.has("metrics.jsonl")) {
    std::istringstream lines(read_file(files.path("metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) EXPECT_NO_THROW(parse_json(line, "metrics.jsonl"));
  }
}

inline std::string seed_of_the_test(uint32_t& seed) {
  const char* given = std::getenv("CLOZE_KILL_SEED");
  seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  return "CLOZE_KILL_SEED=" + std::to_string(seed);
}

}  // namespace cloze::test
