// The program: parses, runs one command, turns errors into exit codes. 0 done, 1 failed, 2 wrong usage, 130 interrupted.
#include <algorithm>
#include <map>
#include <new>

#include "cloze/base/error.h"
#include "cloze/cli/command.h"
#include "cloze/cli/output.h"

namespace {

int exit_code(cloze::ErrorCode code) {
  if (code == cloze::ErrorCode::kUsage) return 2;
  return code == cloze::ErrorCode::kInterrupted ? 130 : 1;
}

bool is_command(std::string_view word) {
  const auto commands = cloze::cli::commands();
  return std::ranges::any_of(commands, [&](const cloze::cli::Command& command) { return word == command.name; });
}

int run(int argc, char** argv) {
  CLI::App app("Cloze: BERT in native C++. Fine-tune, evaluate, predict; checkpoints are Hugging Face's own.", "cloze");
  app.set_version_flag("--version", "cloze " CLOZE_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  std::map<const CLI::App*, std::function<void()>> work;
  for (const cloze::cli::Command& command : cloze::cli::commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    work[sub] = command.setup(*sub);
  }
  if (argc > 1 && argv[1][0] != '-' && !is_command(argv[1])) {
    std::string names;
    for (const cloze::cli::Command& command : cloze::cli::commands()) names += std::string(names.empty() ? "" : ", ") + command.name;
    cloze::cli::say(fmt::format("cloze: unknown command \"{}\"; there are {}\nSee: cloze --help", argv[1], names));
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    const std::string help = chosen.empty() ? "cloze --help" : "cloze " + chosen[0]->get_name() + " --help";
    cloze::cli::say(fmt::format("cloze: {}\nSee: {}", error.what(), help));
    return 2;
  }
  work[app.get_subcommands()[0]]();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const cloze::Error& error) {
    cloze::cli::say(fmt::format("cloze: {}", error.what()));
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    cloze::cli::say("cloze: out of memory");
    return 1;
  } catch (const std::exception& error) {
    cloze::cli::say(fmt::format("cloze: internal error: {}", error.what()));
    return 1;
  }
}
