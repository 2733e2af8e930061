// Where words and data go: data on stdout, words on stderr, progress as a bar on a terminal and as plain lines
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "cloze/base/processor_time.h"

namespace cloze::cli {

/// A line on stderr. Control characters but line ends and tabs are shown as \x1b: what stands in a hostile file must
/// not steer the terminal.
void say(std::string_view line);

/// The text with its control characters shown as say() shows them.
std::string without_controls(std::string_view text);

/// From now on say(), write_out() and Progress do nothing (quiet), or something again: of the processes that train
/// together one speaks.
void set_quiet(bool quiet);

/// Text on stdout, as it is: whole lines, held back until flush_out() or until there is much of it. A reader of a pipe
/// never sees half a line of up to 4096 bytes, however the program ends.
/// Errors: kIo (a full disk), which a silent program would hide.
void write_out(std::string_view text);
void flush_out();

/// Progress of a long work with a known number of steps.
class Progress {
 public:
  Progress();
  /// `details` is what is worth knowing now: "loss 0.412  12,345 tok/s". Drawn at most ten times a second; without a
  /// terminal a line every five seconds and at the end.
  void update(int64_t done, int64_t total, std::string_view details);
  /// Takes the bar off the screen, so that a line can be said.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  Clock::time_point begin_, drawn_{};
  int64_t first_ = -1;  ///< `done` of the first update: a resumed run does not start at 0
  bool visible_ = false;
};

/// A note that the times taken since `wait` began are uncertain, where threads had to wait for processors meanwhile.
void say_if_busy(const ProcessorWait& wait);

/// "1:05", "2:03:11".
std::string clock_text(double seconds);
/// "12,345"
std::string grouped(int64_t number);

}  // namespace cloze::cli
