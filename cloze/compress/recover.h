// Training a compressed model again, with the whole one as its teacher.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cloze/base/file.h"

namespace cloze {

struct RecoverOptions {
  std::string program;              ///< that has `finetune`
  std::string task, data, teacher;  ///< the teacher may be empty
  std::vector<std::string> table;   ///< options that say how `data` is read
  int64_t epochs = 1, batch_size = 32, max_length = 0, seed = 42;
  double rate = 0;  ///< learning rate; 0: recovery_rate()
  int threads = 0;
  bool keep_zeros = false;
  std::function<bool()> stop = {};  ///< asked while it trains; may be empty
};

/// A third of 5e-5 * 768 / hidden width, at most 1e-4: what was learned is to be kept.
double recovery_rate(int64_t hidden);

/// Fine-tunes the model of folder `from` on all its parameters, into the new folder `to`: a child process, which writes
/// into `log`. Errors: kInterrupted where it was; kValue with its last words where it failed.
void recover(const Path& from, const Path& to, const RecoverOptions& options, const Path& log);

}  // namespace cloze
