#include "cloze/io/json_scan.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

/// The SAX interface of nlohmann-json (its parser keeps its own stack, so depth costs no recursion).
class Scanner {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  Scanner(std::string_view where, int max_depth, JsonVisitor& visitor)
      : where_(where), max_depth_(max_depth), visitor_(visitor) {}

  bool null() { return give({.kind = JsonScalar::Kind::kNull, .number = 0, .text = {}}); }
  bool boolean(bool) { return give({.kind = JsonScalar::Kind::kBool, .number = 0, .text = {}}); }
  bool number_integer(number_integer_t) { return give({.kind = JsonScalar::Kind::kNegative, .number = 0, .text = {}}); }
  bool number_unsigned(number_unsigned_t number) {
    return give({.kind = JsonScalar::Kind::kUnsigned, .number = number, .text = {}});
  }
  bool number_float(number_float_t, const string_t&) {
    return give({.kind = JsonScalar::Kind::kFloat, .number = 0, .text = {}});
  }
  bool string(string_t& text) { return give({.kind = JsonScalar::Kind::kString, .number = 0, .text = text}); }
  bool binary(binary_t&) { return false; }

  bool start_object(std::size_t) {
    visitor_.object_begins(path_);
    return enter();
  }
  bool end_object() {
    leave();
    visitor_.object_ends(path_);
    return true;
  }
  bool start_array(std::size_t) {
    visitor_.array_begins(path_);
    return enter();
  }
  bool end_array() {
    leave();
    return true;
  }
  bool key(string_t& name) {
    CLOZE_CHECK(seen_.back().insert(name).second, ErrorCode::kFormat, "{}: the key {} stands twice in one object",
                where_, quote_name(name));
    path_.back() = name;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    fail(ErrorCode::kFormat, "{}: not valid JSON: {}", where_, parser_reason(error.what()));
  }

 private:
  bool give(const JsonScalar& value) {
    visitor_.scalar(path_, value);
    return true;
  }
  bool enter() {
    path_.emplace_back();
    seen_.emplace_back();
    CLOZE_CHECK(static_cast<int>(path_.size()) <= max_depth_, ErrorCode::kFormat,
                "{}: JSON nested deeper than {} levels", where_, max_depth_);
    return true;
  }
  void leave() {
    path_.pop_back();
    seen_.pop_back();
  }

  std::string_view where_;
  int max_depth_;
  JsonVisitor& visitor_;
  JsonVisitor::Keys path_;
  std::vector<std::unordered_set<std::string>> seen_;
};

}  // namespace

const char* JsonScalar::kind_name() const {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a truth value";
    case Kind::kUnsigned:
      return "a number";
    case Kind::kNegative:
      return "a negative number";
    case Kind::kFloat:
      return "a number with a fraction or too large for 64 bits";
    case Kind::kString:
      return "a string";
  }
  return "?";
}

void scan_json(std::string_view text, std::string_view where, int max_depth, JsonVisitor& visitor) {
  // The parser takes a NUL for the end of its input, whatever bytes follow.
  CLOZE_CHECK(text.find('\0') == std::string_view::npos, ErrorCode::kFormat, "{}: not valid JSON: a NUL byte at {}",
              where, text.find('\0'));
  Scanner scanner(where, max_depth, visitor);
  Json::sax_parse(text, &scanner);
}

std::string quote_name(std::string_view text) {
  constexpr size_t kLongest = 160, kKept = 70;
  if (text.size() <= kLongest) return JsonLine().value(text).text();
  const std::string cut = std::string(text.substr(0, kKept)) + "..." + std::string(text.substr(text.size() - kKept));
  return JsonLine().value(cut).text();
}

}  // namespace cloze
