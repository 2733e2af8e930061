// Tokenizer::encode: pieces of one or two texts to a whole Encoding.
#include "cloze/base/error.h"
#include "cloze/base/utf8.h"
#include "cloze/text/tokenizer_impl.h"

namespace cloze {
namespace {

/// One text's pieces, and how many of its byte sequences had to be replaced.
struct TextPieces {
  PieceList list;
  int64_t replaced = 0;
};

TextPieces pieces_of(const TextEncoder& encoder, std::string_view text) {
  CLOZE_CHECK(text.size() <= kMaxTextBytes, ErrorCode::kValue, "a text of {} bytes is too long (limit {}); split it",
              text.size(), kMaxTextBytes);
  TextPieces pieces;
  if (!encoder.append_pieces(text, pieces.list)) {
    const std::string repaired = replace_invalid_utf8(text, pieces.replaced);
    encoder.append_pieces(repaired, pieces.list);
  }
  return pieces;
}

void append_special(Encoding& out, int32_t id, int32_t segment) {
  out.ids.push_back(id);
  out.segments.push_back(segment);
  out.offsets.push_back({0, 0});
  out.byte_offsets.push_back({0, 0});
  out.words.push_back(-1);
}

/// `keep` of the pieces, as many as truncation left of them. Each vector of `list` is freed when it has been copied: a
/// text of ten megabytes may have as many pieces.
void append_kept(Encoding& out, PieceList list, int64_t keep, TruncationSide side, int32_t segment) {
  const auto begin = side == TruncationSide::kRight ? 0 : static_cast<std::ptrdiff_t>(list.ids.size()) - keep;
  out.ids.insert(out.ids.end(), list.ids.begin() + begin, list.ids.begin() + begin + keep);
  list.ids = {};
  out.words.insert(out.words.end(), list.words.begin() + begin, list.words.begin() + begin + keep);
  list.words = {};
  out.segments.insert(out.segments.end(), static_cast<size_t>(keep), segment);
  for (auto source = list.sources.begin() + begin; source != list.sources.begin() + begin + keep; ++source) {
    out.offsets.push_back({source->point_begin, source->point_end});
    out.byte_offsets.push_back({source->byte_begin, source->byte_end});
  }
}

void reserve(Encoding& out, size_t tokens) {
  out.ids.reserve(tokens);
  out.segments.reserve(tokens);
  out.offsets.reserve(tokens);
  out.byte_offsets.reserve(tokens);
  out.words.reserve(tokens);
}

}  // namespace

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const bool add = options.special_tokens == SpecialTokens::kAdd;
  TextPieces pieces = pieces_of(impl_->encoder, text);
  const auto plan =
      plan_truncation(static_cast<int64_t>(pieces.list.ids.size()), std::nullopt, add ? 2 : 0, options.truncation);
  Encoding out;
  reserve(out, static_cast<size_t>(plan.first) + 2);
  out.counts = {pieces.replaced, plan.dropped};
  if (add) append_special(out, impl_->vocabulary.cls_id(), 0);
  append_kept(out, std::move(pieces.list), plan.first, options.truncation.side, 0);
  if (add) append_special(out, impl_->vocabulary.sep_id(), 0);
  return out;
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options) const {
  const bool add = options.special_tokens == SpecialTokens::kAdd;
  TextPieces a = pieces_of(impl_->encoder, first), b = pieces_of(impl_->encoder, second);
  const auto plan = plan_truncation(static_cast<int64_t>(a.list.ids.size()), static_cast<int64_t>(b.list.ids.size()),
                                    add ? 3 : 0, options.truncation);
  Encoding out;
  reserve(out, static_cast<size_t>(plan.first + plan.second) + 3);
  out.counts = {a.replaced + b.replaced, plan.dropped};
  if (add) append_special(out, impl_->vocabulary.cls_id(), 0);
  append_kept(out, std::move(a.list), plan.first, options.truncation.side, 0);
  if (add) append_special(out, impl_->vocabulary.sep_id(), 0);
  append_kept(out, std::move(b.list), plan.second, options.truncation.side, 1);
  if (add) append_special(out, impl_->vocabulary.sep_id(), 1);
  return out;
}

}  // namespace cloze
