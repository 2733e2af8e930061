#include "cloze/compress/recover.h"

#include <fmt/format.h>

#include <algorithm>

#include "cloze/base/child_process.h"
#include "cloze/base/error.h"
#include "cloze/model/checkpoint.h"

namespace cloze {

double recovery_rate(int64_t hidden) {
  return std::min(1e-4, 5e-5 * 768 / static_cast<double>(hidden) / 3);
}

void recover(const Path& from, const Path& to, const RecoverOptions& options, const Path& log) {
  const double rate = options.rate > 0 ? options.rate : recovery_rate(load_config(ModelFiles::open(from)).hidden_size);
  std::vector<std::string> arguments = {options.program,   "finetune",
                                        "--task",          options.task,
                                        "--model",         from.string(),
                                        "--train",         options.data,
                                        "--output",        to.string(),
                                        "--epochs",        std::to_string(options.epochs),
                                        "--batch-size",    std::to_string(options.batch_size),
                                        "--batching",      "by-length",
                                        "--learning-rate", fmt::format("{}", rate),
                                        "--max-length",    std::to_string(options.max_length),
                                        "--seed",          std::to_string(options.seed)};
  if (options.keep_zeros) arguments.emplace_back("--keep-zeros");
  if (!options.teacher.empty()) arguments.insert(arguments.end(), {"--teacher", options.teacher});
  if (options.threads != 0) arguments.insert(arguments.end(), {"--threads", std::to_string(options.threads)});
  arguments.insert(arguments.end(), options.table.begin(), options.table.end());
  const auto check_stop = [&](bool stopped) {
    CLOZE_CHECK(!stopped, ErrorCode::kInterrupted, "interrupted while the model was trained again");
  };
  const auto asked = [&] { return options.stop && options.stop(); };
  check_stop(asked());
  const ChildResult child = run_child(arguments, log, options.stop);
  // It may have been told before it could take the signal as one to stop by.
  check_stop(child.exit_code == 130 || (child.exit_code != 0 && asked()));
  CLOZE_CHECK(child.exit_code == 0, ErrorCode::kValue, "training again failed: {}", last_words(log));
}

}  // namespace cloze
