// The program: parses, runs one command, turns errors into exit codes. 0 done, 1 failed, 2 wrong usage, 130
// interrupted.
#include <fcntl.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <new>

#include "cloze/base/child_process.h"
#include "cloze/base/error.h"
#include "cloze/base/suggest.h"
#include "cloze/cli/command.h"
#include "cloze/cli/output.h"

namespace {

int exit_code(cloze::ErrorCode code) {
  if (code == cloze::ErrorCode::kUsage) return 2;
  return code == cloze::ErrorCode::kInterrupted ? 130 : 1;
}

/// The complaint about a word that is no command (`path` is what stands before it) and no option; empty if there is
/// none.
std::string unknown_name(const std::string& path, const std::string& word, const std::vector<std::string>& names) {
  if (std::ranges::find(names, word) != names.end()) return "";
  return fmt::format("unknown command \"{}\"{}\nThere are: {}\nSee: {} --help", word, cloze::did_you_mean(word, names),
                     fmt::join(names, ", "), path);
}

/// The complaint about a first word that is no command, or about an option that the command lacks; empty if there is
/// none. CLI11 would first complain of required options that are missing, and never suggest.
std::string unknown_word(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = &app;
  std::string path = "cloze";
  int at = 1;
  for (;; ++at) {
    std::vector<std::string> names;
    for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(sub->get_name());
    if (names.empty()) break;
    if (at >= argc)
      return fmt::format("{}\nThere are: {}\nSee: {} --help", at == 1 ? "no command given" : path + " needs a command",
                         fmt::join(names, ", "), path);
    if (argv[at][0] == '-') return "";
    if (std::string complaint = unknown_name(path, argv[at], names); !complaint.empty()) return complaint;
    command = command->get_subcommand(argv[at]);
    path += std::string(" ") + argv[at];
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : command->get_options())
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  for (; at < argc; ++at) {
    const std::string word = std::string(argv[at]).substr(0, std::string_view(argv[at]).find('='));
    if (!word.starts_with("--") || word == "--") continue;
    if (std::ranges::find(options, word) == options.end())
      return fmt::format("unknown option {}{}\nSee: {} --help", word, cloze::did_you_mean(word, options), path);
  }
  return "";
}

/// What CLI11 says, with a number that is none in the words of the other complaints.
std::string complaint_of(const CLI::ParseError& error) {
  const std::string said = error.what(), prefix = "Could not convert: ", between = " = ";
  const size_t at = said.find(between);
  if (dynamic_cast<const CLI::ConversionError*>(&error) == nullptr || !said.starts_with(prefix) ||
      at == std::string::npos)
    return said;
  return fmt::format("{} takes a number, got \"{}\"", said.substr(prefix.size(), at - prefix.size()),
                     said.substr(at + between.size()));
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
  if (const std::string complaint = unknown_word(app, argc, argv); !complaint.empty()) {
    cloze::cli::say("cloze: " + complaint);
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    const int code = app.exit(success);
    if (std::cout.flush()) return code;
    cloze::cli::say("cloze: cannot write to standard output");
    return 1;
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    const std::string help = chosen.empty() ? "cloze --help" : "cloze " + chosen[0]->get_name() + " --help";
    cloze::cli::say(fmt::format("cloze: {}\nSee: {}", complaint_of(error), help));
    return 2;
  }
  work[app.get_subcommands()[0]]();
  return 0;
}

/// The answers that are held back were given before the error, and come before it.
int fail_with(const std::string& message, int code) {
  try {
    cloze::cli::flush_out();
  } catch (const cloze::Error&) {
  }
  cloze::cli::say(message);
  return code;
}

/// A standard stream that is closed would give its number to the next file that is opened, and words for the user would
/// be written into that file. What stands in for it refuses to be read or written.
void occupy_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0 && ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream)
      std::_Exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  // A file that may not grow further is then an error of write(2) like a full disk, and half-written files are removed.
  std::signal(SIGXFSZ, SIG_IGN);
  cloze::end_with_parent();
  occupy_closed_streams();
  try {
    return run(argc, argv);
  } catch (const cloze::Error& error) {
    return fail_with(fmt::format("cloze: {}", error.what()), exit_code(error.code()));
  } catch (const std::bad_alloc&) {
    return fail_with("cloze: out of memory", 1);
  } catch (const std::exception& error) {
    return fail_with(fmt::format("cloze: internal error: {}", error.what()), 1);
  }
}
