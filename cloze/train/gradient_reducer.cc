#include "cloze/train/gradient_reducer.h"

#include <algorithm>
#include <cstring>

#include "cloze/base/profile.h"

namespace cloze {
namespace {

/// Values begin at a multiple of 64 bytes.
int64_t aligned(int64_t values) {
  return (values + 15) / 16 * 16;
}

}  // namespace

GradientReducer::GradientReducer(Communicator& communicator, ParameterList parameters, int64_t bucket_values)
    : communicator_(communicator),
      parameters_(std::move(parameters)),
      bucket_values_(bucket_values),
      found_(parameters_.size()) {}

GradientListener* GradientReducer::listener(int64_t pass, int64_t passes) {
  if (communicator_.size() == 1 || !planned_ || pass + communicator_.size() < passes) return nullptr;
  bucket_of_.clear();
  for (size_t i = 0; i < buckets_.size(); ++i) {
    buckets_[i].waiting = buckets_[i].slots.size();
    for (const Slot& slot : buckets_[i].slots) bucket_of_[var(slot.parameter).key()] = i;
  }
  return this;
}

void GradientReducer::on_final(const Var& leaf) {
  const auto found = bucket_of_.find(leaf.key());
  if (found == bucket_of_.end()) return;
  --buckets_[found->second].waiting;
  size_t end = sent_;
  while (end < buckets_.size() && buckets_[end].waiting == 0) ++end;
  send_up_to(end);
}

void GradientReducer::reduce(std::span<double> sums) {
  if (communicator_.size() == 1) return;
  const ProfilePhase phase("reduce");
  bucket_of_.clear();
  if (planned_) send_up_to(buckets_.size());
  agree(sums);
  if (!planned_) {
    make_plan();
    send_up_to(buckets_.size());
  }
  for (Bucket& bucket : buckets_) receive(bucket);
  for (const size_t parameter : late_) reduce_late(parameter);
  sent_ = 0;
  std::ranges::fill(found_, Found{});
}

/// The same on all processes, for it reads only what all have agreed on.
void GradientReducer::make_plan() {
  for (size_t i = parameters_.size(); i-- > 0;) {
    if (found_[i].dense == 0) {
      late_.push_back(i);
      continue;
    }
    if (buckets_.empty() || buckets_.back().values >= bucket_values_) buckets_.emplace_back();
    Bucket& bucket = buckets_.back();
    bucket.slots.push_back({i, bucket.values});
    bucket.values += aligned(parameters_[i]->shape.elements());
  }
  planned_ = true;
}

/// All processes send the buckets in the same order.
void GradientReducer::send_up_to(size_t end) {
  for (; sent_ < end; ++sent_) send(buckets_[sent_]);
}

/// What was found must be noted here, for the gradients go with the bucket.
void GradientReducer::send(Bucket& bucket) {
  bucket.memory = Tensor({bucket.values}, DType::kF32);
  float* const memory = bucket.memory.data<float>();
  for (const Slot& slot : bucket.slots) {
    const Var& leaf = var(slot.parameter);
    const int64_t count = parameters_[slot.parameter]->shape.elements();
    float* const begin = memory + slot.offset;
    std::fill(begin + count, begin + aligned(count), 0.0f);
    if (!leaf.has_grad()) {
      std::fill(begin, begin + count, 0.0f);
      continue;
    }
    Found& found = found_[slot.parameter];
    if (found.dense == 0) found.dense = 1;
    std::memcpy(begin, leaf.grad().data<float>(), static_cast<size_t>(count) * sizeof(float));
    leaf.clear_grad();
  }
  for (int64_t at = 0; at < bucket.values; at += kPieceValues) {
    const int64_t count = std::min(kPieceValues, bucket.values - at);
    bucket.tickets.push_back(communicator_.sum_start({memory + at, static_cast<size_t>(count)}));
  }
}

/// Makes found_ and `sums` those of all processes.
void GradientReducer::agree(std::span<double> sums) {
  std::vector<double> all(sums.begin(), sums.end());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Var& leaf = var(i);
    Found& found = found_[i];
    // What a bucket took with it was noted then.
    if (leaf.row_grad().defined())
      found.rows = static_cast<double>(leaf.row_grad().rows.elements());
    else if (leaf.has_grad())
      found.dense = 1;
    all.insert(all.end(), {found.dense, found.rows});
  }
  communicator_.sum(all);
  std::copy_n(all.begin(), sums.size(), sums.begin());
  for (size_t i = 0; i < parameters_.size(); ++i)
    found_[i] = {.dense = all[sums.size() + 2 * i], .rows = all[sums.size() + 2 * i + 1]};
}

/// The gradients become parts of the bucket's memory.
void GradientReducer::receive(Bucket& bucket) {
  for (const Communicator::Ticket ticket : bucket.tickets) communicator_.wait(ticket);
  bucket.tickets.clear();
  for (const Slot& slot : bucket.slots) {
    const Parameter& parameter = *parameters_[slot.parameter];
    CLOZE_CHECK(!parameter.var.has_grad(), ErrorCode::kInternal,
                "{}: a gradient came after the backward pass had called it final", parameter.name);
    const Found& found = found_[slot.parameter];
    if (found.dense == 0 && found.rows == 0) continue;
    const int64_t count = parameter.shape.elements();
    parameter.var.add_grad(bucket.memory.rows(slot.offset, slot.offset + count).reshape(parameter.shape));
  }
  bucket.memory = Tensor();
}

void GradientReducer::reduce_late(size_t parameter) {
  const Found& found = found_[parameter];
  if (found.dense == 0 && found.rows == 0) return;
  // Where the rows are a good part of the table anyway, the table is less to send.
  const bool few = found.rows * 2 <= static_cast<double>(parameters_[parameter]->shape[0]);
  if (found.dense == 0 && few)
    exchange_rows(parameter);
  else
    sum_dense(parameter);
}

/// All add the rows of all in the order of ranks.
void GradientReducer::exchange_rows(size_t parameter) {
  const Var& leaf = var(parameter);
  const Shape& table = parameters_[parameter]->shape;
  const size_t row_bytes = static_cast<size_t>(table[1]) * sizeof(float);
  std::vector<std::byte> own;
  if (leaf.has_grad()) {
    const RowGradient& gradient = leaf.row_grad();
    const auto rows = std::as_bytes(gradient.rows.values<int32_t>());
    const auto values = std::as_bytes(gradient.values.values<float>());
    own.reserve(rows.size() + values.size());
    own.insert(own.end(), rows.begin(), rows.end());
    own.insert(own.end(), values.begin(), values.end());
  }
  const std::vector<std::vector<std::byte>> all = communicator_.gather(own);
  leaf.clear_grad();
  for (const std::vector<std::byte>& bytes : all) {
    const int64_t count = static_cast<int64_t>(bytes.size() / (sizeof(int32_t) + row_bytes));
    if (count == 0) continue;
    const RowGradient part{Tensor({count}, DType::kI32), Tensor({count, table[1]}, DType::kF32)};
    const size_t split = static_cast<size_t>(count) * sizeof(int32_t);
    std::memcpy(part.rows.raw(), bytes.data(), split);
    std::memcpy(part.values.raw(), bytes.data() + split, bytes.size() - split);
    leaf.add_row_grad(part);
  }
}

void GradientReducer::sum_dense(size_t parameter) {
  const Var& leaf = var(parameter);
  const Tensor sum = leaf.has_grad() ? leaf.grad().clone() : Tensor::zeros(parameters_[parameter]->shape, DType::kF32);
  std::vector<Communicator::Ticket> tickets;
  const std::span<float> values = sum.values<float>();
  for (size_t at = 0; at < values.size(); at += kPieceValues)
    tickets.push_back(communicator_.sum_start(values.subspan(at, std::min<size_t>(kPieceValues, values.size() - at))));
  for (const Communicator::Ticket ticket : tickets) communicator_.wait(ticket);
  leaf.clear_grad();
  leaf.add_grad(sum);
}

}  // namespace cloze
