// Reading JSON as events, without building a tree: for headers of files that nobody trusts. A tree of ordered_json
// searches linearly at each new key, and a header of 100 MB may hold a million keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cloze {

struct JsonScalar {
  enum class Kind { kNull, kBool, kUnsigned, kNegative, kFloat, kString };
  Kind kind;
  uint64_t number;        ///< of kUnsigned
  std::string_view text;  ///< of kString
  /// "a string", "a negative number", ... for messages
  const char* kind_name() const;
};

/// Receives the values of a JSON text in order. `path` holds the keys from the root to the value; a value that stands
/// in an array has "" there. Throw to refuse.
class JsonVisitor {
 public:
  using Keys = std::vector<std::string>;
  virtual ~JsonVisitor() = default;
  virtual void object_begins(const Keys& path) = 0;
  virtual void object_ends(const Keys& path) = 0;
  virtual void array_begins(const Keys& path) = 0;
  virtual void scalar(const Keys& path, const JsonScalar& value) = 0;
};

/// Reads `text` through `visitor`; `where` names it in errors.
/// Errors: kFormat for broken JSON, invalid UTF-8, a key that stands twice in its object, nesting deeper than
/// `max_depth`, bytes after the value; and what the visitor throws.
void scan_json(std::string_view text, std::string_view where, int max_depth, JsonVisitor& visitor);

/// `text` in quotes, with control characters escaped and the middle of long ones left out: names from files in
/// messages.
std::string quote_name(std::string_view text);

}  // namespace cloze
