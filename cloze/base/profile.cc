#include "cloze/base/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

namespace cloze {
namespace {

thread_local Profile* active_profile = nullptr;

}  // namespace

ProfileWork& ProfileWork::operator+=(const ProfileWork& more) {
  calls += more.calls;
  seconds += more.seconds;
  bytes += more.bytes;
  flops += more.flops;
  return *this;
}

std::string ProfileOperation::text() const {
  return outputs == 0 ? std::string(name) : fmt::format("{} {}x{}", name, inputs, outputs);
}

ProfileWork ProfileReport::kernels() const {
  ProfileWork sum;
  for (const Operation& operation : operations) sum += operation.work;
  return sum;
}

int64_t ProfileReport::phases_entered() const {
  int64_t sum = 0;
  for (const Phase& phase : phases) sum += phase.times;
  return sum;
}

double Profile::steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Profile::Profile(Clock clock)
    : clock_(clock), begin_(clock()), settled_(begin_), phases_{{"other", 0, 0, {}}}, open_{0} {}

void Profile::add(ProfileWork& row, const ProfileWork& work) noexcept {
  row += work;
  phases_[open_.back()].kernels += work;
}

void Profile::settle() noexcept {
  const double moment = now();
  phases_[open_.back()].seconds += moment - settled_;
  settled_ = moment;
}

void Profile::enter(std::string_view name) {
  settle();
  const auto known = std::ranges::find(phases_, name, &Phase::name);
  const size_t at = static_cast<size_t>(known - phases_.begin());
  if (known == phases_.end()) phases_.push_back({name, 0, 0, {}});
  ++phases_[at].times;
  open_.push_back(at);
}

void Profile::leave() noexcept {
  settle();
  if (open_.size() > 1) open_.pop_back();  // "other" has no end
}

ProfileReport Profile::report() const {
  const double moment = now();
  ProfileReport report;
  report.seconds = moment - begin_;
  for (size_t i = 0; i < phases_.size(); ++i) {
    const Phase& phase = phases_[i];
    const double open_seconds = i == open_.back() ? moment - settled_ : 0;
    report.phases.push_back({std::string(phase.name), phase.times, phase.seconds + open_seconds, phase.kernels});
  }
  for (const auto& [operation, work] : operations_) report.operations.push_back({operation.text(), work});
  std::ranges::stable_sort(report.phases, std::greater{}, &ProfileReport::Phase::seconds);
  std::ranges::stable_sort(report.operations, std::greater{}, [](const auto& one) { return one.work.seconds; });
  return report;
}

ProfileScope::ProfileScope(Profile& profile) : previous_(active_profile) {
  active_profile = &profile;
}
ProfileScope::~ProfileScope() {
  active_profile = previous_;
}

ProfilePhase::ProfilePhase(std::string_view name) : profile_(active_profile) {
  if (profile_ != nullptr) profile_->enter(name);
}

void ProfilePhase::next(std::string_view name) {
  if (profile_ == nullptr) return;
  profile_->leave();
  profile_->enter(name);
}

}  // namespace cloze
