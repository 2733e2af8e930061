#include "cloze/base/error.h"

namespace cloze {

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {
  for (size_t at = 0; (at = message_.find('\0', at)) != std::string::npos;) message_.replace(at, 1, "\\x00");
}

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return "usage";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kFormat:
      return "format";
    case ErrorCode::kShape:
      return "shape";
    case ErrorCode::kValue:
      return "value";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kInterrupted:
      return "interrupted";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace cloze
