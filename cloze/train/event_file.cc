#include "cloze/train/event_file.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <vector>

#include "cloze/base/error.h"

namespace cloze {
namespace {

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = crc;
  }
  return table;
}

/// A CRC over data that hold CRCs is weak, so they are stored rotated and shifted.
uint32_t masked(uint32_t crc) {
  return std::rotr(crc, 15) + 0xA282EAD8u;
}

template <class Word>
void append_little_endian(std::string& out, Word word) {
  for (size_t i = 0; i < sizeof(Word); ++i) out += static_cast<char>(static_cast<uint8_t>(word >> (8 * i)));
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(static_cast<uint8_t>(value | 0x80));
  out += static_cast<char>(value);
}

/// Wire types of protocol buffers.
enum class Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_key(std::string& out, uint32_t field, Wire wire) {
  append_varint(out, field << 3 | static_cast<uint32_t>(wire));
}
void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_key(out, field, Wire::kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

std::string event_head(double wall_time, int64_t step) {
  std::string event;
  append_key(event, 1, Wire::kFixed64);
  append_little_endian(event, std::bit_cast<uint64_t>(wall_time));
  if (step != 0) {
    append_key(event, 2, Wire::kVarint);
    append_varint(event, static_cast<uint64_t>(step));
  }
  return event;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  char name[256] = "host";
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

EventFile::EventFile(const Path& folder, WallClock clock) : clock_(clock ? std::move(clock) : now) {
  make_folder(folder);
  static std::atomic<uint32_t> count{0};
  const double time = clock_();
  path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(time), host_name(),
                               ::getpid(), count++);
  file_.reset(std::fopen(path_.c_str(), "wbx"));
  CLOZE_CHECK(file_ != nullptr, ErrorCode::kIo, "cannot write {}: {}", path_.string(), std::strerror(errno));
  std::string version = event_head(time, 0);
  append_bytes(version, 3, "brain.Event:2");
  write_record(version);
}

void EventFile::add(int64_t step, std::span<const std::pair<std::string, double>> values) {
  std::string summary;
  for (const auto& [tag, number] : values) {
    std::string value;
    append_bytes(value, 1, tag);
    append_key(value, 2, Wire::kFixed32);
    append_little_endian(value, std::bit_cast<uint32_t>(static_cast<float>(number)));
    append_bytes(summary, 1, value);
  }
  std::string event = event_head(clock_(), step);
  append_bytes(event, 5, summary);
  write_record(event);
}

void EventFile::write_record(const std::string& data) {
  std::string record;
  append_little_endian(record, static_cast<uint64_t>(data.size()));
  append_little_endian(record, masked(crc32c(record)));
  record += data;
  append_little_endian(record, masked(crc32c(data)));
  // Flushed each time: people watch while the run goes on.
  CLOZE_CHECK(
      std::fwrite(record.data(), 1, record.size(), file_.get()) == record.size() && std::fflush(file_.get()) == 0,
      ErrorCode::kIo, "cannot write {}: {}", path_.string(), std::strerror(errno));
}

EventFile& EventObserver::file() {
  if (!file_) file_ = std::make_unique<EventFile>(folder_);
  return *file_;
}

void EventObserver::on_step(const StepInfo& info) {
  const std::pair<std::string, double> values[] = {{"train/loss", info.loss},
                                                   {"train/learning_rate", info.learning_rate},
                                                   {"train/gradient_norm", info.gradient_norm}};
  file().add(info.step, values);
}

void EventObserver::on_evaluation(const EvaluationInfo& info) {
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [name, value] : info.dev.metrics) values.emplace_back("dev/" + name, value);
  if (!values.empty()) file().add(info.step, values);
}

}  // namespace cloze
