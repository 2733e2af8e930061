#include "cloze/train/run_state.h"

#include <cmath>
#include <sstream>

#include "cloze/base/fields.h"
#include "cloze/io/safetensors.h"
#include "cloze/train/same_start.h"

namespace cloze {
namespace {

std::string hex_of(double value) {
  return fmt::format("{:a}", value);
}  // exact, infinities included

Tensor stored(const SafetensorsFile& file, const std::string& name, const Shape& shape, DType dtype) {
  Tensor tensor = file.tensor(name);
  CLOZE_CHECK(tensor.shape() == shape && tensor.dtype() == dtype, ErrorCode::kShape,
              "{}: {} must be {} {}, found {} {}", file.path().string(), name, dtype_name(dtype), shape,
              dtype_name(tensor.dtype()), tensor.shape());
  return tensor;
}

}  // namespace

void refuse_other_run(Json before, Json now, const Path& where) {
  // What changes no bits may change: a run that was killed for its memory goes on with less.
  for (Json* run : {&before, &now})
    if (run->is_object()) run->erase("gradient_checkpointing");
  const std::string differences = describe_differences(before, now);
  CLOZE_CHECK(
      differences.empty(), ErrorCode::kUsage,
      "{}: the run was started with another configuration:\n{}Give the same options, or start anew with --overwrite",
      where.string(), differences);
}

std::string checksum_of_frozen(const ParameterList& parameters) {
  ParameterList frozen;
  for (Parameter* parameter : parameters)
    if (!parameter->trained) frozen.push_back(parameter);
  return frozen.empty() ? "" : fmt::format("{:016x}", checksum(frozen));
}

void save_run_state(const ModelFiles& files, const RunState& state, const Json& run, const AdamW& optimizer,
                    const WeightAverage* average) {
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < optimizer.parameters().size(); ++i) {
    const Parameter& parameter = *optimizer.parameters()[i];
    tensors.push_back({parameter.name, parameter.var.value()});
    tensors.push_back({"optimizer.m." + parameter.name, optimizer.first_moment(i)});
    tensors.push_back({"optimizer.v." + parameter.name, optimizer.second_moment(i)});
    if (average != nullptr) tensors.push_back({"average." + parameter.name, average->value(i)});
  }
  std::string sums;
  for (const double sum : state.sums) sums += hex_of(sum) + " ";
  write_safetensors(files.path(kResumeFile), tensors,
                    {{"run", run.dump(-1, ' ', false, Json::error_handler_t::replace)},
                     {"step", std::to_string(state.step)},
                     {"loss_sum", hex_of(state.loss_sum)},
                     {"loss_steps", std::to_string(state.loss_steps)},
                     {"sums", sums},
                     {"seconds", hex_of(state.seconds)},
                     {"best_step", std::to_string(state.best_step)},
                     {"best_value", hex_of(state.best_value)},
                     {"since_best", std::to_string(state.since_best)},
                     {"patience_value", hex_of(state.patience_value)},
                     {"best_metrics", state.best_metrics},
                     {"log", state.log},
                     {"frozen", state.frozen}});
}

RunState load_run_state(const ModelFiles& files, const Json& run, int64_t total_steps, AdamW& optimizer,
                        WeightAverage* average) {
  const Path path = files.path(kResumeFile);
  const SafetensorsFile file(path);
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = file.metadata().find(key);
    CLOZE_CHECK(found != file.metadata().end(), ErrorCode::kFormat, "{}: the entry \"{}\" is missing", path.string(),
                key);
    return found->second;
  };
  refuse_other_run(parse_json(text("run"), path.string()), run, path);
  const auto whole = [&](const char* key) {
    const Json value = parse_json(text(key), path.string());
    CLOZE_CHECK(value.is_number_integer() && value.get<int64_t>() >= 0, ErrorCode::kFormat, "{}: \"{}\" is not a count",
                path.string(), key);
    return value.get<int64_t>();
  };
  const auto parsed = [&](const char* key, const std::string& digits) {
    char* end = nullptr;
    const double value = std::strtod(digits.c_str(), &end);
    CLOZE_CHECK(!digits.empty() && *end == '\0', ErrorCode::kFormat, "{}: \"{}\" is not a number", path.string(), key);
    return value;
  };
  const auto number = [&](const char* key) { return parsed(key, text(key)); };
  RunState state;
  state.step = whole("step");
  state.loss_steps = whole("loss_steps");
  state.best_step = whole("best_step");
  state.since_best = whole("since_best");
  state.patience_value = number("patience_value");
  state.loss_sum = number("loss_sum");
  state.best_value = number("best_value");
  state.seconds = number("seconds");
  CLOZE_CHECK(state.seconds >= 0 && std::isfinite(state.seconds), ErrorCode::kFormat, "{}: \"seconds\" is {}",
              path.string(), state.seconds);
  std::istringstream sums(text("sums"));
  for (std::string digits; sums >> digits;) state.sums.push_back(parsed("sums", digits));
  state.best_metrics = text("best_metrics");
  state.log = text("log");
  if (file.metadata().contains("frozen")) state.frozen = text("frozen");
  CLOZE_CHECK((total_steps == 0 || state.step <= total_steps) && state.best_step <= state.step, ErrorCode::kFormat,
              "{}: step {} (best {}) of a run of {} steps", path.string(), state.step, state.best_step, total_steps);
  if (state.best_step > 0) parse_json(state.best_metrics, path.string());
  for (size_t i = 0; i < optimizer.parameters().size(); ++i) {
    Parameter& parameter = *optimizer.parameters()[i];
    // Copies: the file is replaced while the run goes on.
    parameter.set(stored(file, parameter.name, parameter.shape, DType::kF32).clone());
    const auto fill = [&](const Tensor& moment, const char* prefix) {
      moment.copy_from(stored(file, prefix + parameter.name, parameter.shape, moment.dtype()));
    };
    fill(optimizer.first_moment(i), "optimizer.m.");
    fill(optimizer.second_moment(i), "optimizer.v.");
    if (average != nullptr) fill(average->value(i), "average.");
  }
  optimizer.restore(state.step);
  return state;
}

}  // namespace cloze
