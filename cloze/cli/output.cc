#include "cloze/cli/output.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "cloze/base/error.h"

namespace cloze::cli {

namespace {

/// What write_out() holds back. Not stdio's: its blocks end in the middle of lines, so that a program that is stopped
/// would leave half a line behind.
std::string held;

bool is_quiet = false;

/// Bytes of the next write: whole lines, as many as a pipe takes in one piece; a longer line goes alone.
size_t piece_of(std::string_view text) {
  constexpr size_t kAtomic = PIPE_BUF;
  if (text.size() <= kAtomic) return text.size();
  size_t end = text.rfind('\n', kAtomic - 1);
  if (end == std::string_view::npos) end = text.find('\n', kAtomic);
  return end == std::string_view::npos ? text.size() : end + 1;
}

/// All of it. Errors: kIo.
void write_whole(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {  // a pipe that somebody made non-blocking
      pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
      continue;
    }
    CLOZE_CHECK(n >= 0, ErrorCode::kIo, "cannot write to standard output: {}", std::strerror(errno));
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string without_controls(std::string_view text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const unsigned char next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
      shown += fmt::format("\\x{:02x}", c);
    } else if (c == 0xC2 && next >= 0x80 && next < 0xA0) {  // C1: U+0080 to U+009F
      shown += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      shown += text[i];
    }
  }
  return shown;
}

void set_quiet(bool quiet) {
  is_quiet = quiet;
}

void say(std::string_view line) {
  if (is_quiet) return;
  const std::string text = without_controls(line) + '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void write_out(std::string_view text) {
  if (is_quiet) return;
  constexpr size_t kMostHeld = 1 << 16;
  held += text;
  if (held.size() >= kMostHeld && held.ends_with('\n')) flush_out();
}

void flush_out() {
  std::string text;
  text.swap(held);  // what cannot be written is not tried again
  for (std::string_view rest = text; !rest.empty();) {
    const size_t n = piece_of(rest);
    write_whole(rest.substr(0, n));
    rest.remove_prefix(n);
  }
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1), begin_(Clock::now()) {}

void Progress::update(int64_t done, int64_t total, std::string_view details) {
  if (is_quiet) return;
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

void say_if_busy(const ProcessorWait& wait) {
  if (!wait.busy()) return;
  say(
      fmt::format("note: the processors were busy (other programs, or more threads than processors): {:.0f} % of the "
                  "time was spent "
                  "waiting for them. These times are "
                  "uncertain, take them again on a quiet machine",
                  100 * wait.share()));
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
