// Another program, run to its end: what it took.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

struct ChildResult {
  int exit_code = 0;       ///< 128 + the signal's number where one ended it
  double seconds = 0;      ///< by the clock
  int64_t peak_bytes = 0;  ///< the most memory that it held at once (resident), as seen every 16 ms
};

/// Runs `arguments` (the first is the program's path) with standard input from /dev/null and both outputs into `log`,
/// which is replaced. Errors: kIo where the log or the program cannot be opened.
/// It is told by SIGTERM to stop as soon as `stop` says so, once; and a Cloze program where this process is killed
/// (end_with_parent).
ChildResult run_child(const std::vector<std::string>& arguments, const Path& log,
                      const std::function<bool()>& stop = {});

/// For a program's start: where run_child() started it, it ends as by SIGTERM when its parent dies, however that ends.
void end_with_parent();

/// The last line of a log that says something, without "cloze: ": a failed command's complaint. Errors: kIo.
std::string last_words(const Path& log);

/// The path of the running program. Errors: kIo.
Path own_program();

}  // namespace cloze
