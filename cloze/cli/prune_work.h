// What the commands that take parts out of a model share.
#pragma once

#include <string>
#include <vector>

#include "cloze/cli/options.h"
#include "cloze/compress/choose_structure.h"

namespace cloze::cli {

/// What is pruned, and by which rows.
struct PruneFlags {
  std::string model, importance, data;
  int64_t rows = 512, recover_epochs = 0, max_length = 0, seed = 42;
  double recover_rate = 0;
  TableFlags table;
  ThreadsOption threads;

  /// As asked; else by gradients where there are rows. Errors: kUsage.
  Criterion criterion() const {
    return parse_criterion(!importance.empty() ? importance : data.empty() ? "magnitude" : "fisher");
  }
};

/// How much the heads and neurons of the model of a folder matter, which has these labels. `round` is for people.
Importance weigh(const PruneFlags& flags, const Path& model, const BertConfig& config, const std::string& round);

/// Errors: kValue for rows whose labels are not the model's; kUnsupported for a model that reads joined features.
void check_data(const PruneFlags& flags, const BertConfig& config);

/// Trains the model of folder `from` again, into `to`, with flags.model as its teacher. Zeros stay, if they are to.
enum class Zeros : uint8_t { kFree, kKept };
void train_again(const PruneFlags& flags, const Path& from, const Path& to, const std::string& round,
                 Zeros zeros = Zeros::kFree);

/// Which pieces of the model's vocabulary these texts need `min_count` times, and says how many.
std::vector<int32_t> pieces_for(const Path& model, const std::vector<std::string>& texts, int64_t min_count);

}  // namespace cloze::cli
