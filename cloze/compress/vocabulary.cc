#include "cloze/compress/vocabulary.h"

#include <algorithm>
#include <cstring>

#include "cloze/base/error.h"

namespace cloze {
namespace {

bool is_one_ascii(std::string_view piece, std::string_view prefix) {
  if (piece.starts_with(prefix) && piece.size() > prefix.size()) piece.remove_prefix(prefix.size());
  return piece.size() == 1 && static_cast<unsigned char>(piece[0]) < 128;
}

}  // namespace

std::vector<int32_t> needed_pieces(const Tokenizer& tokenizer, const CorpusCounts& counts, int64_t least) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  CLOZE_CHECK(
      tokenizer.size() == vocabulary.size(), ErrorCode::kUnsupported,
      "the tokenizer has added tokens behind its vocabulary (\"{}\", id {}); make them entries of vocab.txt first",
      tokenizer.token(static_cast<int32_t>(vocabulary.size())), vocabulary.size());
  std::vector<int64_t> uses(static_cast<size_t>(vocabulary.size()), 0);
  std::vector<int32_t> ids;
  for (const WordCount& word : counts.words) {
    ids.clear();
    tokenizer.encode_ids(word.word, ids, {.special_tokens = SpecialTokens::kNone});
    for (const int32_t id : ids) uses[static_cast<size_t>(id)] += word.count;
  }
  std::vector<char> kept(uses.size(), 0);
  for (size_t id = 0; id < uses.size(); ++id) {
    const std::string_view piece = vocabulary.piece(static_cast<int32_t>(id));
    const bool found = vocabulary.id(piece) == static_cast<int32_t>(id) && !piece.empty();
    kept[id] = uses[id] >= least || (found && is_one_ascii(piece, tokenizer.options().continuing_prefix));
  }
  const SpecialTokenNames& names = vocabulary.names();
  for (const std::string& name : {names.pad, names.unk, names.cls, names.sep, names.mask})
    if (const auto id = vocabulary.id(name)) kept[static_cast<size_t>(*id)] = 1;
  for (const AddedToken& token : tokenizer.added_tokens()) kept[static_cast<size_t>(token.id)] = 1;
  std::vector<int32_t> keep;
  for (size_t id = 0; id < kept.size(); ++id)
    if (kept[id] != 0) keep.push_back(static_cast<int32_t>(id));
  return keep;
}

Tokenizer prune_vocabulary(const Tokenizer& tokenizer, std::span<const int32_t> keep) {
  const Vocabulary& old = tokenizer.vocabulary();
  std::vector<std::string> pieces;
  for (const int32_t id : keep) pieces.emplace_back(old.piece(id));
  TokenizerOptions options = tokenizer.options();
  std::vector<AddedToken> added = tokenizer.added_tokens();
  for (AddedToken& token : added) token.id = -1;  // the vocabulary's
  options.added_tokens = std::move(added);
  return Tokenizer::from_vocabulary(Vocabulary(pieces, old.names()), std::move(options));
}

void prune_rows(std::vector<NamedTensor>& tensors, std::span<const int32_t> keep) {
  for (NamedTensor& named : tensors) {
    if (named.name != "bert.embeddings.word_embeddings.weight" && named.name != "cls.predictions.bias") continue;
    const Tensor& x = named.tensor;
    CLOZE_CHECK(x.shape().rank() >= 1 && (keep.empty() || keep.back() < x.shape()[0]), ErrorCode::kShape,
                "{} is {}, but the vocabulary has an id {}", named.name, x.shape(), keep.empty() ? 0 : keep.back());
    const int64_t row = x.elements() / x.shape()[0] * dtype_bytes(x.dtype());
    const auto rows = static_cast<int64_t>(keep.size());
    const Tensor y(x.shape().rank() == 1 ? Shape({rows}) : Shape({rows, x.shape()[1]}), x.dtype());
    for (int64_t i = 0; i < rows; ++i)
      std::memcpy(static_cast<char*>(y.raw()) + i * row,
                  static_cast<const char*>(x.raw()) + keep[static_cast<size_t>(i)] * row, static_cast<size_t>(row));
    named.tensor = y;
  }
}

}  // namespace cloze
