// How much memory there is.
#pragma once

#include <cstdint>

namespace cloze {

/// Bytes that this process may still take without swapping, as far as the system tells: the least of MemAvailable and
/// of what the process's cgroups leave of their limits. 0 if it does not tell.
int64_t available_memory_bytes();

}  // namespace cloze
