#include "cloze/optim/start_pull.h"

#include "cloze/base/error.h"
#include "cloze/base/thread_team.h"

namespace cloze {

StartPull::StartPull(ParameterList parameters, double decay) : parameters_(std::move(parameters)), decay_(decay) {
  for (const Parameter* parameter : parameters_) start_.push_back(parameter->var.value().clone());
}

void StartPull::apply(const std::vector<double>& rates) {
  CLOZE_CHECK(rates.size() == parameters_.size(), ErrorCode::kInternal, "{} rates for {} parameters", rates.size(),
              parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const float share = static_cast<float>(rates[i] * decay_);
    const float* from = start_[i].data<float>();
    float* to = parameters_[i]->var.value().data<float>();
    thread_team().for_ranges(start_[i].elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) to[k] += share * (from[k] - to[k]);
    });
  }
}

}  // namespace cloze
