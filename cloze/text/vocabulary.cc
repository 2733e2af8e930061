#include "cloze/text/vocabulary.h"

#include <bit>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"

namespace cloze {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;  // the largest BERT vocabulary has 5 MB

uint64_t hash_bytes(std::string_view bytes) {  // FNV-1a
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash ^ hash >> 32;
}

}  // namespace

Vocabulary::Vocabulary(const std::vector<std::string>& pieces, SpecialTokenNames names, std::string_view where)
    : names_(std::move(names)) {
  CLOZE_CHECK(!pieces.empty(), ErrorCode::kFormat, "{} is empty: expected one piece a line", where);
  size_t total = 0;
  for (const std::string& piece : pieces) total += piece.size();
  CLOZE_CHECK(total <= kMaxFileBytes && pieces.size() <= kMaxFileBytes, ErrorCode::kFormat,
              "{} holds {} bytes in {} pieces, more than any vocabulary (limit {} bytes)", where, total, pieces.size(),
              kMaxFileBytes);
  text_.reserve(total);
  ends_.reserve(pieces.size());
  slots_.assign(std::bit_ceil(pieces.size() * 2 + 1), -1);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string& piece = pieces[i];
    const size_t bad = find_invalid_utf8(piece);
    CLOZE_CHECK(bad == std::string_view::npos, ErrorCode::kFormat,
                "{}: piece {} (line {}) is not valid UTF-8 at byte {}", where, i, i + 1, bad);
    text_ += piece;
    ends_.push_back(static_cast<uint32_t>(text_.size()));
    if (piece.empty()) continue;
    int32_t& slot = slots_[slot_of(piece)];
    distinct_ += slot < 0;
    slot = static_cast<int32_t>(i);  // the last of equal pieces wins
  }
  unk_ = require(names_.unk, "unknown-word", where);
  cls_ = require(names_.cls, "start", where);
  sep_ = require(names_.sep, "separator", where);
}

Vocabulary Vocabulary::load(const Path& path, SpecialTokenNames names) {
  const std::string content = read_file(path, kMaxFileBytes);
  CLOZE_CHECK(!content.starts_with("\xEF\xBB\xBF"), ErrorCode::kFormat,
              "{} begins with a byte order mark, which would become part of the first piece; save it without one",
              path.string());
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin < content.size();) {
    size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    const size_t length = end - begin - (end > begin && content[end - 1] == '\r' ? 1 : 0);
    pieces.push_back(content.substr(begin, length));
    begin = end + 1;
  }
  return Vocabulary(pieces, std::move(names), path.string());
}

void Vocabulary::save(const Path& path) const {
  std::string content;
  content.reserve(text_.size() + ends_.size());
  for (size_t i = 0; i < ends_.size(); ++i) {
    const std::string_view piece = text_of(i);
    CLOZE_CHECK(piece.find('\n') == std::string_view::npos && !piece.ends_with('\r'), ErrorCode::kUnsupported,
                "piece {} holds a line end, which {} cannot say", i, path.string());
    content.append(piece).push_back('\n');
  }
  write_file(path, content);
}

std::string_view Vocabulary::text_of(size_t id) const {
  const size_t begin = id == 0 ? 0 : ends_[id - 1];
  return std::string_view(text_).substr(begin, ends_[id] - begin);
}

std::string_view Vocabulary::piece(int32_t id) const {
  CLOZE_CHECK(id >= 0 && id < size(), ErrorCode::kValue, "token id {} is outside the vocabulary (0 to {})", id,
              size() - 1);
  return text_of(static_cast<size_t>(id));
}

/// Where `piece` stands in slots_, or the free slot where it would.
size_t Vocabulary::slot_of(std::string_view piece) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_bytes(piece) & mask;
  while (slots_[slot] >= 0 && text_of(static_cast<size_t>(slots_[slot])) != piece) slot = (slot + 1) & mask;
  return slot;
}

std::optional<int32_t> Vocabulary::id(std::string_view piece) const {
  if (slots_.empty() || piece.empty()) return std::nullopt;
  const int32_t found = slots_[slot_of(piece)];
  return found < 0 ? std::nullopt : std::optional(found);
}

int32_t Vocabulary::need(const std::string& name, const char* role) const {
  const auto found = id(name);
  CLOZE_CHECK(found, ErrorCode::kNotFound, "the vocabulary has no {} token \"{}\"", role, name);
  return *found;
}

int32_t Vocabulary::require(const std::string& name, const char* role, std::string_view where) const {
  const auto found = id(name);
  CLOZE_CHECK(found, ErrorCode::kFormat,
              "{} has no {} token \"{}\" among its {} pieces; add it, or name the token that plays this role in "
              "tokenizer_config.json",
              where, role, name, size());
  return *found;
}

}  // namespace cloze
