// What libcloze_mpi.so gives: MPI behind plain C functions, so that the program itself does not link it.
//
// Functions return 0 or an MPI error, which error_text explains. Requests are done when test says so, and freed then.
#pragma once

#include <stdint.h>

extern "C" {

struct ClozeMpi {
  int32_t version;  ///< kClozeMpiVersion; other fields only where it is equal
  /// MPI_Init, for calls from one thread at a time.
  int32_t (*start)(int32_t* rank, int32_t* size);
  int32_t (*finish)();
  void (*abort)(int32_t exit_code);
  void (*error_text)(int32_t error, char* text, int32_t capacity);
  int32_t (*sum_f32)(float* values, int64_t count, void** request);
  int32_t (*sum_f64)(double* values, int64_t count, void** request);
  int32_t (*broadcast)(void* bytes, int64_t count, int32_t root, void** request);
  /// `counts` bytes of each rank, one after another into `all`.
  int32_t (*gather)(const void* bytes, int64_t count, void* all, const int64_t* counts, void** request);
  int32_t (*test)(void* request, int32_t* done);
};

/// The one symbol that is looked up: "cloze_mpi".
const ClozeMpi* cloze_mpi();
}

inline constexpr int32_t kClozeMpiVersion = 1;
