// What the commands that take parts out of a model share.
#pragma once

#include <string>
#include <vector>

#include "cloze/cli/options.h"
#include "cloze/compress/choose_structure.h"
#include "cloze/compress/sparsify.h"

namespace cloze::cli {

/// What is pruned, by which rows, and on which clock.
struct PruneFlags {
  std::string model, output, importance, data, dev;
  std::vector<std::string> vocabulary;
  int64_t rows = 0, rounds = 4, min_count = 1, recover_epochs = 0, max_length = 0, seed = 42;
  double recover_rate = 0;
  LatencyOptions latency;
  TableFlags table;
  ThreadsOption threads;

  /// All but --max-drop and what says how much is to go.
  void add(CLI::App& app);
  /// Errors: kUsage for numbers that cannot be, and an output that is there.
  void check() const;
  /// As asked; else by gradients where there are rows. Errors: kUsage.
  Criterion criterion() const {
    return parse_criterion(!importance.empty() ? importance : data.empty() ? "magnitude" : "fisher");
  }
};

/// "4/1024 3/512": heads and neurons of each layer.
std::string shape_text(const BertConfig& config);

/// How much the heads and neurons of the model of a folder matter, which has these labels. `round` is for people.
Importance weigh(const PruneFlags& flags, const Path& model, const BertConfig& config, const std::string& round);

/// Where its weights move while it is tuned on flags.data.
WeightScores weigh_weights(const PruneFlags& flags, const Path& model, const BertConfig& config,
                           const std::string& round);

/// Errors: kValue for rows whose labels are not the model's; kUnsupported for a model that reads joined features.
void check_data(const PruneFlags& flags, const BertConfig& config);

/// What models pruned with these flags depend on: rows and weights by what they hold. Reads them.
Json record_of(const PruneFlags& flags);

/// Trains the model of folder `from` again, into `to`, with flags.model as its teacher. Zeros stay, if they are to.
enum class Zeros : uint8_t { kFree, kKept };
void train_again(const PruneFlags& flags, const Path& from, const Path& to, const std::string& round,
                 Zeros zeros = Zeros::kFree);

/// Which pieces of the model's vocabulary these texts need `min_count` times, and says how many.
std::vector<int32_t> pieces_for(const Path& model, const std::vector<std::string>& texts, int64_t min_count);

}  // namespace cloze::cli
