#include "cloze/cli/profile.h"

#include "cloze/backend/profiled_backend.h"
#include "cloze/base/error.h"
#include "cloze/cli/output.h"

namespace cloze::cli {

void ProfileFlag::add(CLI::App& app) {
  app.add_flag("--profile", wanted, "say at the end where the time went: by phase and by operation, on stderr");
}

void ProfileFlag::run(const std::function<void()>& work) const {
  if (!wanted) return work();
  const ProfileCost cost = measure_profile_cost();
  Profile profile;
  const auto profiled = profiled_backend(backend(), profile);
  const auto tell = [&] { say("\n" + profile_text(profile.report(), cost)); };
  try {
    const ProfileScope scope(profile);
    const BackendScope backend_scope(*profiled);
    work();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) tell();
    throw;
  }
  tell();
}

}  // namespace cloze::cli
