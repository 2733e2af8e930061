#include "cloze/base/json.h"

#include <cmath>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

/// Nesting depth of JSON text, found without parsing it: a hostile file must not reach the recursive destructor.
int nesting_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

const Json* find(const Json& object, const char* key, std::string_view where) {
  CLOZE_CHECK(object.is_object(), ErrorCode::kFormat, "{}: expected an object that may hold \"{}\", found {}", where,
              key, object.type_name());
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

template <class T, class Is>
T typed(const Json* item, const char* key, const char* wanted, std::string_view where, Is is) {
  CLOZE_CHECK(item != nullptr, ErrorCode::kFormat, "{}: \"{}\" is missing; expected {}", where, key, wanted);
  CLOZE_CHECK(is(*item), ErrorCode::kFormat, "{}: \"{}\" must be {}, found {}", where, key, wanted, item->type_name());
  return item->get<T>();
}

int64_t as_int(const Json* item, const char* key, std::string_view where) {
  return typed<int64_t>(item, key, "an integer", where, [](const Json& j) {
    return j.is_number_integer() && (!j.is_number_unsigned() || j.get<uint64_t>() <= INT64_MAX);
  });
}
double as_number(const Json* item, const char* key, std::string_view where) {
  return typed<double>(item, key, "a number", where, [](const Json& j) { return j.is_number(); });
}
std::string as_string(const Json* item, const char* key, std::string_view where) {
  return typed<std::string>(item, key, "a string", where, [](const Json& j) { return j.is_string(); });
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where, int max_depth) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  CLOZE_CHECK(nesting_depth(text) <= max_depth, ErrorCode::kFormat, "{}: JSON nested deeper than {} levels", where,
              max_depth);
  // The parser takes NUL for the end and would not see what follows.
  CLOZE_CHECK(text.find('\0') == std::string_view::npos, ErrorCode::kFormat, "{}: not valid JSON: a NUL byte at {}",
              where, text.find('\0'));
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::kFormat, "{}: not valid JSON: {}", where, parser_reason(error.what()));
  }
}

std::string parser_reason(std::string_view what) {
  constexpr size_t kMostBytes = 300;
  int64_t replaced = 0;
  const std::string reason = replace_invalid_utf8(what.substr(0, kMostBytes), replaced);
  return what.size() > kMostBytes ? reason + "..." : reason;
}

int64_t json_int(const Json& o, const char* key, std::string_view where) {
  return as_int(find(o, key, where), key, where);
}
double json_number(const Json& o, const char* key, std::string_view where) {
  return as_number(find(o, key, where), key, where);
}
std::string json_string(const Json& o, const char* key, std::string_view where) {
  return as_string(find(o, key, where), key, where);
}
int64_t json_int_or(const Json& o, const char* key, int64_t fallback, std::string_view where) {
  const Json* item = find(o, key, where);
  return item == nullptr ? fallback : as_int(item, key, where);
}
double json_number_or(const Json& o, const char* key, double fallback, std::string_view where) {
  const Json* item = find(o, key, where);
  return item == nullptr ? fallback : as_number(item, key, where);
}
bool json_bool_or(const Json& o, const char* key, bool fallback, std::string_view where) {
  const Json* item = find(o, key, where);
  if (item == nullptr) return fallback;
  return typed<bool>(item, key, "true or false", where, [](const Json& j) { return j.is_boolean(); });
}
std::string json_string_or(const Json& o, const char* key, std::string fallback, std::string_view where) {
  const Json* item = find(o, key, where);
  return item == nullptr ? std::move(fallback) : as_string(item, key, where);
}

std::string dump_json(const Json& value) {
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void JsonLine::separate() {
  if (!first_) text_ += ", ";
  first_ = false;
}

JsonLine& JsonLine::open(char bracket) {
  separate();
  text_ += bracket;
  first_ = true;
  return *this;
}

JsonLine& JsonLine::close(char bracket) {
  text_ += bracket;
  first_ = false;
  return *this;
}

JsonLine& JsonLine::key(std::string_view name) {
  value(name);
  text_ += ": ";
  first_ = true;
  return *this;
}

JsonLine& JsonLine::value(std::string_view text) {
  separate();
  text_ += '"';
  for (size_t at = 0; at < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[at]);
    if (c < 0x80) {
      ++at;
      switch (c) {
        case '"':
          text_ += "\\\"";
          break;
        case '\\':
          text_ += "\\\\";
          break;
        case '\n':
          text_ += "\\n";
          break;
        case '\r':
          text_ += "\\r";
          break;
        case '\t':
          text_ += "\\t";
          break;
        default:
          if (c < 0x20 || c == 0x7F)
            text_ += fmt::format("\\u{:04x}", c);
          else
            text_ += static_cast<char>(c);
      }
      continue;
    }
    const Utf8Step step = decode_utf8(text, at);
    append_utf8(text_, step.code_point);
    at += step.length_bytes;
  }
  text_ += '"';
  return *this;
}

JsonLine& JsonLine::value(int64_t number) {
  separate();
  text_ += fmt::format("{}", number);
  return *this;
}

JsonLine& JsonLine::value(float number) {
  separate();
  text_ += std::isfinite(number) ? fmt::format("{}", number) : "null";
  return *this;
}

JsonLine& JsonLine::value(double number) {
  separate();
  text_ += std::isfinite(number) ? fmt::format("{}", number) : "null";
  return *this;
}

JsonLine& JsonLine::value(bool flag) {
  separate();
  text_ += flag ? "true" : "false";
  return *this;
}

}  // namespace cloze
