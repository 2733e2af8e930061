#include "cloze/cli/memory.h"

#include <unistd.h>

#include "cloze/base/error.h"

namespace cloze::cli {

void check_memory(const BertConfig& config) {
  constexpr double kBytesPerParameter = 16, kGigabyte = 1e9;
  const double wanted = kBytesPerParameter * config.parameter_elements();
  const double there = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  CLOZE_CHECK(
      there <= 0 || wanted <= there, ErrorCode::kUsage,
      "{} layers of width {} need {:.0f} GB for weights, gradients and moments; this machine has {:.0f} GB. Give "
      "a smaller --size, --layers or --hidden",
      config.num_hidden_layers, config.hidden_size, wanted / kGigabyte, there / kGigabyte);
}

}  // namespace cloze::cli
