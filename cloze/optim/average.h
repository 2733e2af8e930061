// The exponential moving average of weights over the steps, without the bias of its start (as Adam corrects its
// moments: Kingma and Ba, 2015): after step t it is sum_i D^(t-i) w_i / sum_i D^(t-i), over the weights w_i after the
// steps i = 1 to t.
#pragma once

#include <vector>

#include "cloze/nn/parameter.h"

namespace cloze {

class WeightAverage {
 public:
  /// Keeps pointers to the F32 parameters, which must outlive it. 0 < decay < 1.
  WeightAverage(ParameterList parameters, double decay);

  /// After step `step`, from 1 on.
  void update(int64_t step);
  /// The average of parameter i; zeros before the first update.
  const Tensor& value(size_t i) const { return values_[i]; }

  /// The parameters have the average's values while it lives, and then their own again.
  class InPlace {
   public:
    explicit InPlace(const WeightAverage& average);
    ~InPlace();
    InPlace(const InPlace&) = delete;
    InPlace& operator=(const InPlace&) = delete;

   private:
    const ParameterList& parameters_;
    std::vector<Var> own_;
  };

 private:
  ParameterList parameters_;
  double decay_;
  std::vector<Tensor> values_;
};

}  // namespace cloze
