#include "cloze/cli/vocab.h"

namespace cloze::cli {
namespace {

constexpr Command kCommands[] = {
    {"train", "a WordPiece vocabulary from texts", setup_vocab_train},
};

}  // namespace

std::function<void()> setup_vocab(CLI::App& app) {
  app.require_subcommand(1);
  std::vector<std::pair<const CLI::App*, std::function<void()>>> work;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    work.emplace_back(sub, command.setup(*sub));
  }
  return [work] {
    for (const auto& [sub, run] : work)
      if (sub->parsed()) run();
  };
}

}  // namespace cloze::cli
