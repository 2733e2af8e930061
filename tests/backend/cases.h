// The case table: one row drives the comparison of a backend with ref, the gradient check in f64, and speed (bench/).
//
// A Case builds Calls: one kernel with its arguments, ready to run on any backend. Its values are those of f32, so
// that an f32 call and an f64 call compute the same thing, and all that differs is rounding. How much may differ is
// said per output element by a magnitude: the sum of the absolute values of the terms that the element is made of.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cloze/backend/backend.h"
#include "cloze/base/rng.h"

namespace cloze::test {

/// What a backward kernel gets of its forward pass (y, lse, pre, mean, ...), computed by ref in f64.
enum class Saved : uint8_t {
  kRounded,  ///< rounded to f32, in f64 calls too: for comparisons
  kExact,    ///< as it is: for gradient checks
};
enum class Placement : uint8_t {
  kPlain,    ///< as Tensor allocates: for timing
  kGuarded,  ///< aligned to one element only, between words that must survive: for tests
};
struct Setting {
  DType dtype;
  Saved saved;
  Placement placement;
};

struct Output {
  std::string name;
  Tensor value;
};
/// Memory around a tensor that nobody may write.
struct Guard {
  Tensor memory;
  int64_t begin, count;  ///< the tensor's own elements
};

/// One call of a kernel. Kernels that work in place ("adds to") go on from the last result when run again.
struct Call {
  std::function<void(const Backend&)> run;
  std::vector<Output> outputs;
  std::vector<Tensor> inputs;                       ///< must not change
  std::vector<Guard> guards;                        ///< must not change around the tensors
  double bytes = 0;                                 ///< read and written, at least
  std::function<std::vector<Tensor>()> magnitudes;  ///< one for each output, f64, of the output's shape
  /// Backward kernels: gradients[i].second is the gradient of sum(dy * forward()) with respect to gradients[i].first.
  std::function<Tensor()> forward;
  Tensor dy;
  std::vector<std::pair<Tensor, Tensor>> gradients;
};

/// Makes tensors for one call. Masters are f64 tensors whose values f32 can hold; arguments are made from them.
class CallBuilder {
 public:
  CallBuilder(const Setting& setting, uint64_t seed) : setting_(setting), rng_(seed, RandomStream::kTest) {}

  /// Masters: offset + sigma * (about) standard normal, never exactly offset; integers in [low, high) as I32.
  Tensor normal(const Shape& shape, double sigma = 1, double offset = 0);
  Tensor integers(const Shape& shape, int64_t low, int64_t high);

  /// Arguments. An undefined master stays undefined.
  Tensor input(const Tensor& master);
  Tensor saved(const Tensor& exact);
  Tensor output(const std::string& name, const Shape& shape);  ///< full of NaN
  Tensor output_f64(const std::string& name, const Shape& shape);
  Tensor in_place(const std::string& name, const Tensor& master);
  const Setting& setting() const { return setting_; }

  Call call;

 private:
  Tensor place(const Tensor& values);
  Setting setting_;
  Rng rng_;
};

struct Case {
  std::string kernel;
  std::string name;
  double flops;     ///< multiplications and additions, about
  double ulps = 4;  ///< allowed error of an f32 output, in units of 2^-24 times the magnitude
  std::function<void(CallBuilder&)> build;

  Call make(const Setting& setting) const;
};

/// The whole table of the tests.
const std::vector<Case>& all_cases();
/// Rows of BERT's own sizes, for bench/: ref takes up to seconds for one. Their kernels are those of the tests.
const std::vector<Case>& timing_cases();
/// The names of the kernels, each once.
std::vector<std::string> all_kernels();

// The table's parts, one a file.
std::vector<Case> linear_cases();
std::vector<Case> attention_cases();
std::vector<Case> layer_norm_cases();
std::vector<Case> embedding_cases();
std::vector<Case> loss_cases();
std::vector<Case> elementwise_cases();
std::vector<Case> linear_timing_cases();
std::vector<Case> attention_timing_cases();
std::vector<Case> layer_norm_timing_cases();
std::vector<Case> embedding_timing_cases();
std::vector<Case> loss_timing_cases();
std::vector<Case> elementwise_timing_cases();

// Tensors in f64, for magnitudes.
Tensor zeros_f64(const Shape& shape);
Tensor absolute(const Tensor& x);
/// function(x[i], i) for every element.
Tensor mapped(const Tensor& x, const std::function<double(double, int64_t)>& function);
/// [0, lengths[0], lengths[0] + lengths[1], ...] as I32.
Tensor offsets_of(const std::vector<int64_t>& lengths);

}  // namespace cloze::test
