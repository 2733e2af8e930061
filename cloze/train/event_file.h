// TensorBoard event files: scalars over steps.
//
// A file is a sequence of TFRecords: length (u64), masked CRC-32C of the length, data, masked CRC-32C of the data, all
// little endian; the data is a protocol buffer `tensorflow.Event` {1: wall_time f64, 2: step i64, 3: file_version
// string, 5: Summary {1: Value {1: tag string, 2: simple_value f32}}} (tensorflow/core/util/event.proto,
// summary.proto, core/lib/io/record_writer.cc, as published).
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cloze/base/file.h"
#include "cloze/train/trainer.h"

namespace cloze {

/// CRC-32C (Castagnoli).
uint32_t crc32c(std::string_view bytes);

class EventFile {
 public:
  /// Seconds since 1970.
  using WallClock = std::function<double()>;
  /// Makes the folder and in it a new events.out.tfevents.SECONDS.HOST.PID.COUNT, which begins with the version record.
  /// Errors: kIo.
  explicit EventFile(const Path& folder, WallClock clock = {});
  /// One record with all values. Errors: kIo.
  void add(int64_t step, std::span<const std::pair<std::string, double>> values);
  const Path& path() const { return path_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void write_record(const std::string& data);
  WallClock clock_;
  Path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// Writes train/loss, train/learning_rate, train/gradient_norm of each step, and dev/METRIC of each evaluation. The
/// file is made at the first step, so that a run that is refused or already done leaves none.
class EventObserver : public TrainObserver {
 public:
  explicit EventObserver(Path folder) : folder_(std::move(folder)) {}
  void on_step(const StepInfo& info) override;
  void on_evaluation(const EvaluationInfo& info) override;
  void on_message(const std::string&) override {}

 private:
  EventFile& file();
  Path folder_;
  std::unique_ptr<EventFile> file_;
};

}  // namespace cloze
