// What a search for a smaller model has tried, kept in a folder until it ends, so that a stopped search goes on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cloze/base/file.h"
#include "cloze/base/folder_lock.h"
#include "cloze/base/json.h"

namespace cloze {

class Tries {
 public:
  enum class Start : uint8_t { kFresh, kResume };

  /// Opens `folder` for a search of which `run` is all that its models depend on; one process at a time. Where there is
  /// nothing to go on with it starts. Errors: kUsage for a fresh start where a step has ended there, for going on with
  /// another search (with what differs), and for a folder that is none; kFormat for a state that cannot be read.
  Tries(Path folder, Json run, Start start);
  /// Without an ended step nothing stays.
  ~Tries();
  Tries(const Tries&) = delete;
  Tries& operator=(const Tries&) = delete;

  const Path& folder() const { return folder_; }
  /// The model of a step, 1, 2, ….
  Path step(int64_t number) const;
  /// Steps whose models are whole; those of a stopped search too.
  int64_t ended() const { return ended_; }
  /// The factor that the steps go towards; 0 before set_wanted().
  double wanted() const { return wanted_; }
  void set_wanted(double factor) { wanted_ = factor; }
  /// The model of step ended() + 1 stands in its folder.
  void end_step();
  /// The search has ended: the folder goes.
  void remove();

 private:
  void read_state(const Json& state, const std::string& where);
  void write_state() const;
  void remove_begun();

  const Path folder_;
  const Json run_;
  std::unique_ptr<FolderLock> lock_;
  int64_t ended_ = 0;
  double wanted_ = 0;
};

}  // namespace cloze
