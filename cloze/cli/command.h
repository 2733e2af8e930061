// Commands: each file of this folder turns options into library calls. One line a command in commands.cc.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>

namespace cloze::cli {

/// Adds a command's options to its sub-command and returns what to run after parsing.
using Setup = std::function<void()> (*)(CLI::App& app);

struct Command {
  const char* name;
  const char* summary;
  Setup setup;
};

std::span<const Command> commands();

std::function<void()> setup_compare_transfer(CLI::App& app);
std::function<void()> setup_ensemble(CLI::App& app);
std::function<void()> setup_prune(CLI::App& app);
std::function<void()> setup_quantize(CLI::App& app);
std::function<void()> setup_compress(CLI::App& app);
std::function<void()> setup_compare(CLI::App& app);
std::function<void()> setup_convert(CLI::App& app);
std::function<void()> setup_embed(CLI::App& app);
std::function<void()> setup_inspect(CLI::App& app);
std::function<void()> setup_tokenize(CLI::App& app);
std::function<void()> setup_pretrain(CLI::App& app);
std::function<void()> setup_finetune(CLI::App& app);
std::function<void()> setup_distill(CLI::App& app);
std::function<void()> setup_evaluate(CLI::App& app);
std::function<void()> setup_predict(CLI::App& app);
std::function<void()> setup_vocab(CLI::App& app);
std::function<void()> setup_info(CLI::App& app);
std::function<void()> setup_bench(CLI::App& app);

}  // namespace cloze::cli
