// Joining the job that an MPI launcher (mpirun, srun) has started.
#pragma once

#include <memory>

#include "cloze/train/communicator.h"

namespace cloze {

inline constexpr const char* kMpiPlugin = "libcloze_mpi.so";

/// The job's communicator where an MPI launcher has started this process as one of several, by what the environment
/// says; else null, and MPI is not even loaded. The plugin is looked for beside the program and in ../lib from there.
/// Once a process: MPI ends with the object. Errors: kUnsupported where the plugin is not there, or of another version
/// or MPI than the launcher; kIo where MPI does not start.
std::unique_ptr<Communicator> join_mpi_job();

}  // namespace cloze
