#include "cloze/base/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "cloze/base/error.h"

extern char** environ;

namespace cloze {
namespace {

/// The streams of the child.
class Streams {
 public:
  explicit Streams(const Path& log) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
  }
  ~Streams() { posix_spawn_file_actions_destroy(&actions_); }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

constexpr std::chrono::milliseconds kFirstWait{1}, kLongestWait{16};

/// VmHWM of a process, in bytes; 0 where it is none. What wait4() counts begins with the parent's memory, which the
/// child shares until it becomes another program, so that it tells nothing of a child smaller than its parent.
int64_t peak_of(const Path& status) {
  std::ifstream file(status);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) * 1024;
  return 0;
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& arguments, const Path& log) {
  write_file(log, "");  // says what is wrong with the place
  const Streams streams(log);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const auto begin = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int error = ::posix_spawn(&child, argv[0], streams.get(), nullptr, argv.data(), environ);
  CLOZE_CHECK(error == 0, ErrorCode::kIo, "cannot run {}: {}", arguments[0], std::strerror(error));
  const Path own_status = "/proc/" + std::to_string(child) + "/status";
  int status = 0;
  int64_t peak = 0;
  for (auto wait = kFirstWait;; wait = std::min(wait * 2, kLongestWait)) {
    peak = std::max(peak, peak_of(own_status));
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    std::this_thread::sleep_for(wait);
  }
  ChildResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.peak_bytes = peak;
  return result;
}

std::string last_words(const Path& log) {
  const std::string text = read_file(log);
  size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "it said nothing";
  const size_t begin = text.find_last_of('\n', end);
  std::string line =
      text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? -1 : begin));
  if (line.starts_with("cloze: ")) line.erase(0, 7);
  return line;
}

Path own_program() {
  std::error_code error;
  const Path path = std::filesystem::read_symlink("/proc/self/exe", error);
  CLOZE_CHECK(!error, ErrorCode::kIo, "cannot find the running program: {}", error.message());
  return path;
}

}  // namespace cloze
