// The one exception of the library. Messages say what was expected, what was found, where, and what to do.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>

namespace cloze {

enum class ErrorCode {
  kUsage,        ///< the caller's request makes no sense (an unknown option or column)
  kNotFound,     ///< a file, tensor or label is not there
  kIo,           ///< the system refused to read or write
  kFormat,       ///< a file's content breaks its format
  kShape,        ///< tensor shapes do not fit each other
  kValue,        ///< a number or word outside its allowed range
  kUnsupported,  ///< valid, but not something that Cloze does
  kInterrupted,  ///< the user asked to stop
  kInternal,     ///< a bug in Cloze
};

/// The word for a code in messages and logs, e.g. "format".
const char* error_code_name(ErrorCode code);

class Error : public std::exception {
 public:
  /// NUL bytes, which a message may quote from a file, become "\x00": what() is a C string and would end there.
  Error(ErrorCode code, std::string message);
  ErrorCode code() const { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
};

/// Throws Error with the formatted message.
template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace cloze

/// Throws cloze::Error unless `condition` holds. The message's arguments are evaluated only on failure.
#define CLOZE_CHECK(condition, code, ...)                 \
  do {                                                    \
    if (!(condition)) ::cloze::fail((code), __VA_ARGS__); \
  } while (false)
