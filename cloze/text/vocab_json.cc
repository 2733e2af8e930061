#include "cloze/text/vocab_json.h"

#include "cloze/base/error.h"

namespace cloze {
namespace {

constexpr size_t kMaxDepth = 64;

/// The value in ASCII, at most 40 bytes of it, for messages.
std::string shown(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40);
}

/// Receives nlohmann-json's events and builds VocabJson.
class Builder {
 public:
  Builder(VocabJson& out, std::string_view where) : out_(out), where_(where) {}

  bool null() { return put(nullptr); }
  bool boolean(bool flag) { return put(flag); }
  bool number_integer(Json::number_integer_t number) { return integer(number); }
  bool number_unsigned(Json::number_unsigned_t number) {
    CLOZE_CHECK(number <= 0x7FFFFFFFFFFFFFFF, ErrorCode::kFormat, "{}: the number {} is too large", where_, number);
    return integer(static_cast<int64_t>(number));
  }
  bool number_float(Json::number_float_t number, const std::string&) { return put(number); }
  bool string(std::string& text) { return put(std::move(text)); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(size_t) {
    if (!in_vocab_ && stack_.size() == 2 && path_is("model", "vocab")) {
      in_vocab_ = out_.has_vocab = true;
      return true;
    }
    return push(Json::object());
  }
  bool start_array(size_t) { return push(Json::array()); }
  bool key(std::string& name) {
    key_ = std::move(name);
    if (!in_vocab_ && stack_.size() <= 2) path_[stack_.size() - 1] = key_;
    return true;
  }
  bool end_object() { return pop(); }
  bool end_array() { return pop(); }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception& error) {
    fail(ErrorCode::kFormat, "{} is not valid JSON at byte {}: {}", where_, at, json_reason(error.what()));
  }

 private:
  bool path_is(std::string_view first, std::string_view second) const {
    return stack_[0]->is_object() && stack_[1]->is_object() && path_[0] == first && path_[1] == second;
  }
  bool integer(int64_t number) {
    if (!in_vocab_) return put(number);
    out_.vocab.emplace_back(std::move(key_), number);
    return true;
  }
  Json* put_value(Json&& value) {
    CLOZE_CHECK(!in_vocab_, ErrorCode::kFormat, "{}: model.vocab has {}: {}, expected an integer id", where_,
                shown(key_), shown(value));
    if (stack_.empty()) {
      out_.rest = std::move(value);
      return &out_.rest;
    }
    if (stack_.back()->is_array()) {
      stack_.back()->push_back(std::move(value));
      return &stack_.back()->back();
    }
    // Without a search for an equal key: it would be quadratic. The first of equal keys is what look-ups find.
    auto& members = stack_.back()->get_ref<Json::object_t&>();
    static_cast<Json::object_t::Container&>(members).emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }
  bool put(Json&& value) {
    put_value(std::move(value));
    return true;
  }
  bool push(Json&& value) {
    CLOZE_CHECK(stack_.size() < kMaxDepth, ErrorCode::kFormat, "{} is nested deeper than {} levels", where_, kMaxDepth);
    stack_.push_back(put_value(std::move(value)));
    return true;
  }
  bool pop() {
    if (in_vocab_) {
      in_vocab_ = false;
    } else {
      stack_.pop_back();
    }
    return true;
  }

  VocabJson& out_;
  std::string_view where_;
  std::vector<Json*> stack_;  ///< the open objects and arrays; a parent does not grow while a child is open
  std::string key_, path_[2];
  bool in_vocab_ = false;
};

}  // namespace

VocabJson parse_vocab_json(std::string_view text, std::string_view where) {
  // The parser takes a NUL for the end of its input, whatever bytes follow.
  CLOZE_CHECK(text.find('\0') == std::string_view::npos, ErrorCode::kFormat, "{} is not valid JSON: a NUL byte at {}",
              where, text.find('\0'));
  VocabJson out;
  Builder builder(out, where);
  const bool good = Json::sax_parse(text, &builder);
  CLOZE_CHECK(good, ErrorCode::kFormat, "{} is not valid JSON", where);
  return out;
}

}  // namespace cloze
