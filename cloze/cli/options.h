// Options that several commands share, and the bridge from listed fields (base/fields.h) to the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cloze/base/error.h"
#include "cloze/data/example.h"
#include "cloze/task/long_texts.h"
#include "cloze/train/communicator.h"

namespace cloze::cli {

/// Visits a configuration's fields: `learning_rate` becomes --learning-rate with its default in the help.
class FieldBinder {
 public:
  explicit FieldBinder(CLI::App& app) : app_(app) {}
  template <class T>
  void operator()(const char* name, T& value, const char* help) {
    std::string option = std::string("--") + name;
    std::replace(option.begin(), option.end(), '_', '-');
    if constexpr (std::is_same_v<T, bool>)
      app_.add_flag(option, value, help);
    else
      app_.add_option(option, value, help)->capture_default_str();
  }

 private:
  CLI::App& app_;
};

/// --threads: applied before the command runs.
struct ThreadsOption {
  int threads = 0;
  void add(CLI::App& app);
  void apply() const;
  /// The same for one of the processes of a job, who share their machine's processors where nothing is asked for.
  void apply(Communicator& communicator) const;
};

/// --max-length, --long, --stride of commands that use a trained model.
struct LengthFlags {
  LengthOptions lengths;
  void add(CLI::App& app);
};

/// --precision of commands that run a trained model.
struct PrecisionFlag {
  std::string precision = "fp32";
  void add(CLI::App& app, const std::string& help = "fp32, or int8 (faster, a little less exact)");
  /// Of inference. Errors: kUsage.
  Precision resolve() const;
};

/// How a table is read: its form, its columns, its header, broken UTF-8.
struct TableFlags {
  std::string format, text, text_pair, label, invalid_utf8;
  bool no_header = false;

  enum class Labels : uint8_t { kOffer, kNone };
  /// `invalid` is the default of --invalid-utf8: "refuse" or "replace".
  void add(CLI::App& app, Labels labels, const char* invalid);
  /// Errors: kUsage.
  ExampleOptions resolve() const;
  /// The same flags for another run of this program.
  std::vector<std::string> arguments() const;
};

/// How floats are stored; empty: as they are. Errors: kUsage for another type, with the name of the option.
std::optional<DType> parse_float_type(const std::string& name, const char* option);

/// Asks for the columns that a task needs. Errors: kUsage for a label that it would not read.
void require_columns(const ColumnOptions& needs, ExampleOptions& options);

}  // namespace cloze::cli
