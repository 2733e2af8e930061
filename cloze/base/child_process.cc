#include "cloze/base/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
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

constexpr const char* kParent = "CLOZE_PARENT";  // a process id: who started this one

/// This process's environment, and who is the parent.
std::vector<std::string> child_environment() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with(std::string(kParent) + "=")) all.emplace_back(*entry);
  all.push_back(fmt::format("{}={}", kParent, ::getpid()));
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

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

void end_with_parent() {
  const char* parent = std::getenv(kParent);
  if (parent == nullptr) return;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // It may have died before; then another process has taken over.
  if (std::to_string(::getppid()) != parent) ::raise(SIGTERM);
  ::unsetenv(kParent);
}

ChildResult run_child(const std::vector<std::string>& arguments, const Path& log, const std::function<bool()>& stop) {
  write_file(log, "");  // says what is wrong with the place
  const Streams streams(log);
  const std::vector<std::string> environment = child_environment();
  const std::vector<char*> argv = pointers(arguments), variables = pointers(environment);
  const auto begin = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int error = ::posix_spawn(&child, argv[0], streams.get(), nullptr, argv.data(), variables.data());
  CLOZE_CHECK(error == 0, ErrorCode::kIo, "cannot run {}: {}", arguments[0], std::strerror(error));
  const Path own_status = "/proc/" + std::to_string(child) + "/status";
  int status = 0;
  int64_t peak = 0;
  bool told = false;
  for (auto wait = kFirstWait;; wait = std::min(wait * 2, kLongestWait)) {
    peak = std::max(peak, peak_of(own_status));
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    if (!told && stop && stop()) told = ::kill(child, SIGTERM) == 0;
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
