// Runs the built program as a user would.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "cloze/base/file.h"

namespace cloze::test {

// A sanitizer's shadow memory needs address space without limit.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

struct Outcome {
  int exit_code;
  std::string out, err;
};

/// A folder that goes away with the test.
class Workplace {
 public:
  Workplace() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloze-cli-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
  }
  ~Workplace() { std::filesystem::remove_all(dir_); }
  Path operator/(const std::string& name) const { return dir_ / name; }
  Path write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((dir_ / name).parent_path());
    write_file(dir_ / name, content);
    return dir_ / name;
  }

  /// `arguments` as in a shell; `input` is stdin.
  Outcome cloze(const std::string& arguments, const std::string& input = "") const {
    return shell("'" CLOZE_BINARY "' " + arguments, input);
  }

  /// A shell command, in braces. The exit code of a program that a signal ends is 128 and its number.
  Outcome shell(const std::string& command, const std::string& input = "") const {
    write("stdin", input);
    const std::string whole = "{ " + command + "\n} <'" + (dir_ / "stdin").string() + "' >'" +
                              (dir_ / "stdout").string() + "' 2>'" + (dir_ / "stderr").string() + "'";
    const int status = std::system(whole.c_str());
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : -1;
    return {code, read_file(dir_ / "stdout"), read_file(dir_ / "stderr")};
  }

 private:
  Path dir_;
};

/// The checkpoint that comes with the source.
inline const std::string kShippedModel = CLOZE_SOURCE_DIR "/models/cloze-mini-en-zh";

inline std::string sample(const std::string& name) {
  return std::string(CLOZE_SOURCE_DIR "/samples/") + name;
}

/// Training of a small model on the English samples, without epochs and width.
inline std::string small_training(const std::string& output, const std::string& more) {
  return "finetune --task text-classification --from-scratch --vocab " + sample("vocab_en.txt") +
         " --layers 1 --heads 2 --train " + sample("reviews_en.train.tsv") + " --learning-rate 1e-3 --output " +
         output + " " + more;
}

/// The same for a moment.
inline std::string quick_training(const std::string& output, const std::string& more = "") {
  return small_training(output, "--hidden 32 --epochs 2 " + more);
}

}  // namespace cloze::test
