#include "cloze/optim/zero_mask.h"

#include <algorithm>
#include <numeric>

namespace cloze {

ZeroMask::ZeroMask(const ParameterList& parameters) {
  for (Parameter* parameter : parameters) {
    Held held{parameter, {}, {}};
    const auto values = parameter->var.value().values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] != 0.0f) continue;
      const auto at = static_cast<int64_t>(i);
      if (!held.end.empty() && held.end.back() == at) {
        ++held.end.back();
      } else {
        held.begin.push_back(at);
        held.end.push_back(at + 1);
      }
    }
    if (!held.begin.empty()) held_.push_back(std::move(held));
  }
}

void ZeroMask::apply() {
  for (const Held& held : held_) {
    float* values = held.parameter->var.value().data<float>();
    for (size_t run = 0; run < held.begin.size(); ++run)
      std::fill(values + held.begin[run], values + held.end[run], 0.0f);
  }
}

int64_t ZeroMask::held() const {
  int64_t count = 0;
  for (const Held& held : held_)
    for (size_t run = 0; run < held.begin.size(); ++run) count += held.end[run] - held.begin[run];
  return count;
}

ParameterList encoder_products(const ParameterList& parameters) {
  ParameterList products;
  for (Parameter* parameter : parameters)
    if (parameter->shape.rank() == 2 && parameter->name.starts_with("bert.encoder.layer.") &&
        parameter->name.ends_with(".weight"))
      products.push_back(parameter);
  return products;
}

}  // namespace cloze
