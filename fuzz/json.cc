// JSON: parse_json and scan_json agree on what is valid, what was read is written as what it was, and any bytes and
// numbers that JsonLine writes are read back.
#include "cloze/base/json.h"

#include <cstring>

#include "cloze/io/json_scan.h"
#include "cloze/text/vocab_json.h"
#include "fuzz/fuzz.h"

namespace cloze::fuzz {
namespace {

class CountingVisitor : public JsonVisitor {
 public:
  void object_begins(const Keys&) override { ++open_; }
  void object_ends(const Keys&) override { --open_; }
  void array_begins(const Keys& path) override { FUZZ_CHECK(path.size() <= 64, "{}", path.size()); }
  void scalar(const Keys& path, const JsonScalar& value) override {
    FUZZ_CHECK(path.size() <= 64, "{}", path.size());
    FUZZ_CHECK(find_invalid_utf8(value.text) == std::string_view::npos, "{}", value.kind_name());
    check_quoted(value.text);
    for (const std::string& key : path) check_quoted(key);
  }
  int open() const { return open_; }

 private:
  static void check_quoted(std::string_view text) {
    const std::string quoted = quote_name(text);
    FUZZ_CHECK(find_invalid_utf8(quoted) == std::string_view::npos && quoted.size() < 2000, "{}", quoted);
  }
  int open_ = 0;
};

void check_readers(std::string_view text) {
  const std::string parsed = error_of([&] {
    const Json value = parse_json(text, "input");
    const std::string written = dump_json(value);
    FUZZ_CHECK(parse_json(written, "written") == value, "{}", written);
  });
  CountingVisitor visitor;
  const std::string scanned = error_of([&] { scan_json(text, "input", 64, visitor); });
  FUZZ_CHECK(!scanned.empty() || visitor.open() == 0, "{} objects left open", visitor.open());
  // scan_json alone refuses a key that stands twice, and alone keeps a byte order mark for the parser.
  const bool twice = scanned.find("stands twice") != std::string::npos;
  if (!twice && !text.starts_with("\xEF\xBB\xBF"))
    FUZZ_CHECK(parsed.empty() == scanned.empty(), "\"{}\" but \"{}\"", parsed, scanned);
  error_of([&] { parse_vocab_json(text, "input"); });
}

void check_writer(std::string_view text) {
  double number = 0;
  float small = 0;
  int64_t whole = 0;
  std::memcpy(&number, text.data(), std::min(sizeof number, text.size()));
  std::memcpy(&small, text.data(), std::min(sizeof small, text.size()));
  std::memcpy(&whole, text.data(), std::min(sizeof whole, text.size()));
  JsonLine line;
  line.begin_object().member("text", text).member("number", number).member("small", small);
  line.member("whole", whole).key(text).begin_array().value(true).end_array().end_object();
  const Json value = parse_json(line.text(), "line");
  int64_t replaced = 0;
  const std::string repaired = replace_invalid_utf8(text, replaced);
  if (repaired == "number" || repaired == "small" || repaired == "whole" || repaired == "text") return;
  FUZZ_CHECK(value["text"] == repaired, "{}", line.text());
  FUZZ_CHECK(value["whole"] == whole, "{}", line.text());
  const auto same = [](const Json& item, auto original) {
    return item.is_null() ? !(original - original == 0) : item.get<decltype(original)>() == original;
  };
  FUZZ_CHECK(same(value["number"], number) && same(value["small"], small), "{}", line.text());
  FUZZ_CHECK(value[repaired].size() == 1, "{}", line.text());
}

}  // namespace
}  // namespace cloze::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  cloze::fuzz::check_readers(text);
  cloze::fuzz::check_writer(text);
  return 0;
}
