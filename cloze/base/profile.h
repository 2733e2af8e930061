// Where time goes: a ledger of phases (what a command is doing) and of operations (calls of kernels). Nothing is
// recorded, and nothing is paid but one look at a pointer for each phase, where no ProfileScope lives.
//
// A profile is of one thread, the one whose ProfileScope made it the active one; phases on other threads are not seen.
// What the thread team does is time of the thread that waits for it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace cloze {

/// What one call did, or many.
struct ProfileWork {
  int64_t calls = 0;
  double seconds = 0;
  double bytes = 0;  ///< of the tensors read and written; one that is changed in place counts twice
  double flops = 0;  ///< floating-point operations of products and attention; 0 elsewhere

  ProfileWork& operator+=(const ProfileWork& more);
};

/// An operation, and for products the sizes that make a row of their own: K inputs, M outputs; 0: not told apart.
/// `name` must outlive the profile: a literal.
struct ProfileOperation {
  std::string_view name;
  int64_t inputs = 0, outputs = 0;

  auto key() const { return std::tie(name, inputs, outputs); }
  bool operator<(const ProfileOperation& other) const { return key() < other.key(); }
  /// "linear 768x3072"
  std::string text() const;
};

/// What a profile has found, each list with the largest share of time first.
struct ProfileReport {
  struct Phase {
    std::string name;
    int64_t times = 0;   ///< how often it was entered
    double seconds = 0;  ///< its own: without the phases inside it
    ProfileWork kernels;
  };
  struct Operation {
    std::string name;
    ProfileWork work;
  };
  double seconds = 0;         ///< since the profile was made; the phases' seconds add up to it
  std::vector<Phase> phases;  ///< "other" is what no phase claims
  std::vector<Operation> operations;

  ProfileWork kernels() const;  ///< of all operations
  int64_t phases_entered() const;
};

class Profile {
 public:
  using Clock = double (*)();  ///< seconds since any moment, never going back
  /// The system's steady clock.
  static double steady_seconds();

  explicit Profile(Clock clock = steady_seconds);
  double now() const { return clock_(); }

  /// The row of an operation; it stays where it is.
  ProfileWork& row(const ProfileOperation& operation) { return operations_[operation]; }
  /// Books work in a row and in the phase of the moment.
  void add(ProfileWork& row, const ProfileWork& work) noexcept;
  /// Phases nest: what the inner one takes is not the outer one's. `name` is a literal; equal names are one phase.
  void enter(std::string_view name);
  void leave() noexcept;

  ProfileReport report() const;

 private:
  struct Phase {
    std::string_view name;
    int64_t times = 0;
    double seconds = 0;
    ProfileWork kernels;
  };
  /// Time since the last change of phase goes to the phase of the moment.
  void settle() noexcept;

  Clock clock_;
  double begin_, settled_;
  std::vector<Phase> phases_;
  std::vector<size_t> open_;  ///< indices of phases_, the innermost last; never empty
  std::map<ProfileOperation, ProfileWork> operations_;
};

/// Makes `profile` this thread's active one while it lives.
class ProfileScope {
 public:
  explicit ProfileScope(Profile& profile);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  Profile* previous_;
};

/// While it lives, this thread's time is that of the phase `name` (a literal) of the active profile, if there is one.
class ProfilePhase {
 public:
  explicit ProfilePhase(std::string_view name);
  ~ProfilePhase() {
    if (profile_ != nullptr) profile_->leave();
  }
  ProfilePhase(const ProfilePhase&) = delete;
  ProfilePhase& operator=(const ProfilePhase&) = delete;
  /// Ends this phase and begins the next.
  void next(std::string_view name);

 private:
  Profile* profile_;
};

/// What recording itself takes, in seconds: for a call of a kernel, and for a phase entered and left.
struct ProfileCost {
  double call = 0, phase = 0;
};

/// Two tables for people, by phase and by operation, and what the profile itself took; without a last line end.
std::string profile_text(const ProfileReport& report, const ProfileCost& cost);

}  // namespace cloze
