// libcloze_mpi.so: see cloze/train/mpi_plugin.h. MPI's C interface alone.
#include <mpi.h>
#include <stdio.h>

#include <climits>
#include <memory>
#include <vector>

#include "cloze/train/mpi_plugin.h"

namespace {

MPI_Comm world = MPI_COMM_NULL;

struct Request {
  MPI_Request mpi = MPI_REQUEST_NULL;
  std::vector<int> counts, starts;  ///< of gather: read until it is done
};

int32_t start(int32_t* rank, int32_t* size) {
  int given = 0;
  if (const int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given); error != MPI_SUCCESS)
    return error;
  // An own communicator: its errors come back instead of ending the job.
  if (const int error = MPI_Comm_dup(MPI_COMM_WORLD, &world); error != MPI_SUCCESS) return error;
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  MPI_Comm_rank(world, rank);
  return MPI_Comm_size(world, size);
}

int32_t finish() {
  MPI_Comm_free(&world);
  return MPI_Finalize();
}

void abort_all(int32_t exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

void error_text(int32_t error, char* text, int32_t capacity) {
  char buffer[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(error, buffer, &length);
  snprintf(text, static_cast<size_t>(capacity), "%s", buffer);
}

/// Starts an operation with a fresh request.
template <class Start>
int32_t begin(void** request, const Start& start_it) {
  auto own = std::make_unique<Request>();
  const int error = start_it(*own);
  if (error == MPI_SUCCESS) *request = own.release();
  return error;
}

int32_t sum_f32(float* values, int64_t count, void** request) {
  if (count > INT_MAX) return MPI_ERR_COUNT;
  return begin(request, [&](Request& own) {
    return MPI_Iallreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_FLOAT, MPI_SUM, world, &own.mpi);
  });
}

int32_t sum_f64(double* values, int64_t count, void** request) {
  if (count > INT_MAX) return MPI_ERR_COUNT;
  return begin(request, [&](Request& own) {
    return MPI_Iallreduce(MPI_IN_PLACE, values, static_cast<int>(count), MPI_DOUBLE, MPI_SUM, world, &own.mpi);
  });
}

int32_t broadcast(void* bytes, int64_t count, int32_t root, void** request) {
  if (count > INT_MAX) return MPI_ERR_COUNT;
  return begin(request, [&](Request& own) {
    return MPI_Ibcast(bytes, static_cast<int>(count), MPI_BYTE, root, world, &own.mpi);
  });
}

int32_t gather(const void* bytes, int64_t count, void* all, const int64_t* counts, void** request) {
  int size = 0;
  MPI_Comm_size(world, &size);
  int64_t total = 0;
  for (int i = 0; i < size; ++i) total += counts[i];
  if (total > INT_MAX) return MPI_ERR_COUNT;
  return begin(request, [&](Request& own) {
    int at = 0;
    for (int i = 0; i < size; ++i) {
      own.starts.push_back(at);
      own.counts.push_back(static_cast<int>(counts[i]));
      at += own.counts.back();
    }
    return MPI_Iallgatherv(bytes, static_cast<int>(count), MPI_BYTE, all, own.counts.data(), own.starts.data(),
                           MPI_BYTE, world, &own.mpi);
  });
}

int32_t test(void* request, int32_t* done) {
  Request* const own = static_cast<Request*>(request);
  int flag = 0;
  const int error = MPI_Test(&own->mpi, &flag, MPI_STATUS_IGNORE);
  *done = flag;
  if (error != MPI_SUCCESS || flag != 0) delete own;
  return error;
}

const ClozeMpi kTable = {kClozeMpiVersion, start,   finish,    abort_all, error_text,
                         sum_f32,          sum_f64, broadcast, gather,    test};

}  // namespace

extern "C" __attribute__((visibility("default"))) const ClozeMpi* cloze_mpi() {
  return &kTable;
}
