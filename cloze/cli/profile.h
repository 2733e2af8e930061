// --profile: where a command's time goes, said on stderr when it is done.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace cloze::cli {

struct ProfileFlag {
  bool wanted = false;
  void add(CLI::App& app);
  /// Runs `work`, and if the flag was given says where the time went: also after a run that was stopped.
  void run(const std::function<void()>& work) const;
};

}  // namespace cloze::cli
