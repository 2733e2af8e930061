// That all processes of a job train the same thing, and how what one of them knows gets to the others. Nothing here
// does anything with one process. All calls are collective.
#pragma once

#include <string>

#include "cloze/base/json.h"
#include "cloze/nn/parameter.h"
#include "cloze/optim/adamw.h"
#include "cloze/train/communicator.h"
#include "cloze/train/options.h"
#include "cloze/train/run_state.h"

namespace cloze {

/// Errors: kUsage where the passes of a step cannot be shared out evenly, with options that do.
void check_passes(const Communicator& communicator, const TrainOptions& options);

/// Errors: kUsage where this process's record of the run is not that of rank 0, with the differences. Threads may
/// differ.
void check_same_run(Communicator& communicator, Json run);

/// Errors: kValue where not all have the same bits in all parameters; `when` says at which moment.
void check_same_weights(Communicator& communicator, const ParameterList& parameters, const std::string& when);

/// Of the bits of all values, in order.
uint64_t checksum(const ParameterList& parameters);

/// What rank 0 has.
std::string share_text(Communicator& communicator, std::string text);
/// What rank 0 has loaded: weights, moments and counters. Others read no file.
void share_run_state(Communicator& communicator, RunState& state, AdamW& optimizer);
/// What rank 0's evaluation has found, as far as it steers the run.
void share_outcome(Communicator& communicator, RunState& state);

}  // namespace cloze
