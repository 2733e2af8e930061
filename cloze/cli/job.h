// Commands that may run as one of several processes, started by mpirun.
#pragma once

#include <functional>

#include "cloze/train/communicator.h"

namespace cloze::cli {

/// Runs `work` as one process of the job that an MPI launcher has started, or alone. Of the processes only rank 0
/// speaks; an error of any of them is said with its rank, and ends the job. Errors: those of `work`, where it is alone
/// or all processes were stopped together.
void run_in_job(const std::function<void(Communicator&)>& work);

}  // namespace cloze::cli
