#include "cloze/base/rng.h"

#include <cmath>
#include <numbers>

namespace cloze {

uint64_t Rng::below(uint64_t n) {
  __extension__ using Wide = unsigned __int128;
  const uint64_t threshold = (0 - n) % n;
  while (true) {
    const Wide product = static_cast<Wide>(next_u64()) * n;
    if (static_cast<uint64_t>(product) >= threshold) return static_cast<uint64_t>(product >> 64);
  }
}

double Rng::normal() {
  const double u = 1.0 - uniform(), v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace cloze
