// JSON. Reading: nlohmann-json behind one strict door (depth and size bounded, UTF-8 checked, errors say where).
// Writing: JsonLine, which prints float32 as the shortest text that reads back as the same float32.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cloze {

using Json = nlohmann::ordered_json;

/// Parses `text`; `where` names it in errors ("model/config.json", "data.jsonl line 7").
/// Errors: kFormat for broken JSON, nesting deeper than `max_depth`, or bytes after the value.
Json parse_json(std::string_view text, std::string_view where, int max_depth = 64);

/// What the parser says of broken JSON, fit for a message: it quotes the input, broken UTF-8 and any length.
std::string parser_reason(std::string_view what);

/// Typed members with errors that name `where` and the key. The plain form throws kFormat if the member is missing or
/// of another type; The `_or` form gives `fallback` if it is missing or null.
int64_t json_int(const Json& object, const char* key, std::string_view where);
double json_number(const Json& object, const char* key, std::string_view where);
std::string json_string(const Json& object, const char* key, std::string_view where);
int64_t json_int_or(const Json& object, const char* key, int64_t fallback, std::string_view where);
double json_number_or(const Json& object, const char* key, double fallback, std::string_view where);
bool json_bool_or(const Json& object, const char* key, bool fallback, std::string_view where);
std::string json_string_or(const Json& object, const char* key, std::string fallback, std::string_view where);

/// Indented text with a line end, for files that people read. Invalid UTF-8 in strings becomes U+FFFD.
std::string dump_json(const Json& value);

/// Builds one JSON value as text, on one line.
class JsonLine {
 public:
  JsonLine& begin_object() { return open('{'); }
  JsonLine& end_object() { return close('}'); }
  JsonLine& begin_array() { return open('['); }
  JsonLine& end_array() { return close(']'); }
  JsonLine& key(std::string_view name);
  JsonLine& value(std::string_view text);
  JsonLine& value(const char* text) { return value(std::string_view(text)); }
  JsonLine& value(const std::string& text) { return value(std::string_view(text)); }
  JsonLine& value(int64_t number);
  JsonLine& value(int number) { return value(static_cast<int64_t>(number)); }
  JsonLine& value(float number);   ///< shortest round trip; NaN and infinities become null
  JsonLine& value(double number);  ///< shortest round trip; NaN and infinities become null
  JsonLine& value(bool flag);
  template <class T>
  JsonLine& member(std::string_view name, const T& item) {
    return key(name).value(item);
  }
  const std::string& text() const { return text_; }

 private:
  JsonLine& open(char bracket);
  JsonLine& close(char bracket);
  void separate();
  std::string text_;
  bool first_ = true;
};

}  // namespace cloze
