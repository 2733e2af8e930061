#include "cloze/train/same_start.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "cloze/base/fields.h"

namespace cloze {
namespace {

void share(Communicator& communicator, const Tensor& tensor) {
  communicator.broadcast({static_cast<std::byte*>(tensor.raw()), static_cast<size_t>(tensor.bytes())}, 0);
}

template <class T>
void share_number(Communicator& communicator, T& number) {
  communicator.broadcast(std::as_writable_bytes(std::span(&number, 1)), 0);
}

}  // namespace

uint64_t checksum(const ParameterList& parameters) {
  uint64_t sum = 14695981039346656037u;
  for (const Parameter* parameter : parameters) {
    const Tensor& value = parameter->var.value();
    const auto* bytes = static_cast<const std::byte*>(value.raw());
    for (int64_t at = 0; at < value.bytes(); at += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + at, static_cast<size_t>(std::min<int64_t>(8, value.bytes() - at)));
      sum = std::rotl((sum ^ word) * 0x9E3779B97F4A7C15u, 29);
    }
  }
  return sum;
}

void check_passes(const Communicator& communicator, const TrainOptions& options) {
  const int64_t size = communicator.size(), rows = options.batch_size * options.gradient_accumulation;
  if (options.gradient_accumulation % size == 0) return;
  const std::string advice = rows % size == 0
                                 ? fmt::format("--batch-size {} --gradient-accumulation {}", rows / size, size)
                                 : fmt::format("--batch-size {} --gradient-accumulation {} (steps of {} rows)",
                                               (rows + size - 1) / size, size, (rows + size - 1) / size * size);
  fail(
      ErrorCode::kUsage,
      "{} processes share the passes of a step: --gradient-accumulation must be a multiple of {}, got {}; for steps of "
      "{} rows give {}",
      size, size, options.gradient_accumulation, rows, advice);
}

void check_same_run(Communicator& communicator, Json run) {
  if (communicator.size() == 1) return;
  run.erase("threads");
  const Json first =
      parse_json(share_text(communicator, run.dump(-1, ' ', false, Json::error_handler_t::replace)), "rank 0's run");
  const Json own = parse_json(run.dump(-1, ' ', false, Json::error_handler_t::replace), "this run");
  const std::string differences = describe_differences(first, own);
  CLOZE_CHECK(differences.empty(), ErrorCode::kUsage,
              "rank {} was started with other options, rows or model than rank 0:\n{}Start all processes alike",
              communicator.rank(), differences);
}

void check_same_weights(Communicator& communicator, const ParameterList& parameters, const std::string& when) {
  if (communicator.size() == 1) return;
  const uint64_t own = checksum(parameters);
  const auto all = communicator.gather(std::as_bytes(std::span(&own, 1)));
  for (size_t rank = 1; rank < all.size(); ++rank)
    CLOZE_CHECK(all[rank] == all[0], ErrorCode::kValue,
                "{} the weights of rank {} are not those of rank 0; all machines need the same cloze, the same model "
                "and processors of one kind",
                when, rank);
}

std::string share_text(Communicator& communicator, std::string text) {
  uint64_t size = text.size();
  share_number(communicator, size);
  text.resize(size);
  communicator.broadcast(std::as_writable_bytes(std::span(text)), 0);
  return text;
}

void share_run_state(Communicator& communicator, RunState& state, AdamW& optimizer) {
  if (communicator.size() == 1) return;
  share_number(communicator, state.step);
  share_number(communicator, state.loss_sum);
  share_number(communicator, state.loss_steps);
  share_number(communicator, state.seconds);
  int64_t sums = static_cast<int64_t>(state.sums.size());
  share_number(communicator, sums);
  state.sums.resize(static_cast<size_t>(sums));
  for (double& sum : state.sums) share_number(communicator, sum);
  share_outcome(communicator, state);
  for (size_t i = 0; i < optimizer.parameters().size(); ++i) {
    Parameter& parameter = *optimizer.parameters()[i];
    // Own memory: a weight may be a mapped file's.
    if (communicator.rank() != 0) parameter.set(Tensor(parameter.shape, DType::kF32));
    share(communicator, parameter.var.value());
    share(communicator, optimizer.first_moment(i));
    share(communicator, optimizer.second_moment(i));
  }
  if (communicator.rank() != 0) optimizer.restore(state.step);
}

void share_outcome(Communicator& communicator, RunState& state) {
  if (communicator.size() == 1) return;
  share_number(communicator, state.best_step);
  share_number(communicator, state.best_value);
  share_number(communicator, state.since_best);
  share_number(communicator, state.patience_value);
}

}  // namespace cloze
