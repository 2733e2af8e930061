#include "cloze/train/communicator.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cloze/base/thread_team.h"

namespace cloze {
namespace {

class Alone : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Ticket sum_start(std::span<float>) override { return 0; }
  void progress() override {}
  void wait(Ticket) override {}
  void sum(std::span<double>) override {}
  void broadcast(std::span<std::byte>, int) override {}
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes) override {
    return {{bytes.begin(), bytes.end()}};
  }
  void abort(int exit_code) override { std::_Exit(exit_code); }
};

/// Where a process may run.
struct Place {
  char host[256];
  cpu_set_t mask;
  int32_t usable;  ///< processors, by mask and quota
};

Place own_place() {
  Place place;
  std::memset(&place, 0, sizeof place);
  ::gethostname(place.host, sizeof place.host - 1);
  ::sched_getaffinity(0, sizeof place.mask, &place.mask);
  place.usable = usable_processors();
  return place;
}

}  // namespace

Communicator& alone() {
  static Alone communicator;
  return communicator;
}

int fair_threads(Communicator& communicator) {
  const Place own = own_place();
  std::vector<Place> neighbours;  // on this machine, this process among them
  for (const std::vector<std::byte>& bytes : communicator.gather(std::as_bytes(std::span(&own, 1)))) {
    Place place;
    std::memcpy(&place, bytes.data(), sizeof place);
    if (std::strcmp(place.host, own.host) == 0) neighbours.push_back(place);
  }
  double share = 0;
  for (size_t processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &own.mask)) continue;
    const auto sharers =
        std::ranges::count_if(neighbours, [&](const Place& place) { return CPU_ISSET(processor, &place.mask) != 0; });
    share += 1.0 / static_cast<double>(sharers);
  }
  // Fewer than the mask has: that is the quota, which all processes of the container share.
  if (own.usable < CPU_COUNT(&own.mask))
    share = std::min(share, static_cast<double>(own.usable) / static_cast<double>(neighbours.size()));
  return std::max(1, static_cast<int>(share + 1e-6));
}

}  // namespace cloze
