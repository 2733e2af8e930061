#include "cloze/cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "cloze/base/error.h"

namespace cloze::cli {

void say(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void write_out(std::string_view text) {
  CLOZE_CHECK(std::fwrite(text.data(), 1, text.size(), stdout) == text.size(), ErrorCode::kIo,
              "cannot write to standard output: {}", std::strerror(errno));
}

void flush_out() {
  CLOZE_CHECK(std::fflush(stdout) == 0, ErrorCode::kIo, "cannot write to standard output: {}", std::strerror(errno));
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1), begin_(Clock::now()) {}

void Progress::update(int64_t done, int64_t total, std::string_view details) {
  const Clock::time_point now = Clock::now();
  if (first_ < 0) {
    first_ = done - 1;
    begin_ = now;
  }
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000);
  if (done < total && drawn_ != Clock::time_point{} && now - drawn_ < pause) return;
  if (!terminal_ && drawn_ == Clock::time_point{} && done < total) {
    drawn_ = now;  // the first plain line comes once there is something to say
    return;
  }
  drawn_ = now;
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  const double left =
      done > first_ ? elapsed / static_cast<double>(done - first_) * static_cast<double>(total - done) : 0;
  const std::string facts =
      fmt::format("{:3.0f}%  {}/{}  {}  ETA {}", std::floor(100 * share), done, total, details, clock_text(left));
  if (!terminal_) return say(facts);
  winsize size{};
  const int width = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  const int cells = std::clamp(width - static_cast<int>(facts.size()) - 4, 0, 30);
  const int full = static_cast<int>(share * cells);
  std::string line = "\r";
  if (cells >= 5)
    line += fmt::format("[{}{}] ", std::string(static_cast<size_t>(full), '='),
                        std::string(static_cast<size_t>(cells - full), ' '));
  line += facts.substr(0, static_cast<size_t>(std::max(0, width - 1)));
  line += "\x1b[K";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  visible_ = true;
}

void Progress::clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
  visible_ = false;
}

std::string clock_text(double seconds) {
  const int64_t s = std::llround(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

}  // namespace cloze::cli
