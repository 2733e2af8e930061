#include "cloze/optim/average.h"

#include <cmath>

#include "cloze/base/thread_team.h"

namespace cloze {

WeightAverage::WeightAverage(ParameterList parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  for (const Parameter* parameter : parameters_) values_.push_back(Tensor::zeros(parameter->shape, DType::kF32));
}

void WeightAverage::update(int64_t step) {
  // What the newest weights count: 1 at the first step, and in the end 1 - decay.
  const double share = (1 - decay_) / (1 - std::pow(decay_, static_cast<double>(step)));
  const float newest = static_cast<float>(share);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const float* from = parameters_[i]->var.value().data<float>();
    float* to = values_[i].data<float>();
    thread_team().for_ranges(values_[i].elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) to[k] += newest * (from[k] - to[k]);
    });
  }
}

WeightAverage::InPlace::InPlace(const WeightAverage& average) : parameters_(average.parameters_) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    own_.push_back(parameters_[i]->var);
    parameters_[i]->set(average.values_[i]);
  }
}

WeightAverage::InPlace::~InPlace() {
  for (size_t i = 0; i < own_.size(); ++i) parameters_[i]->var = own_[i];
}

}  // namespace cloze
