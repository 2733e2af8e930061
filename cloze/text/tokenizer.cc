#include "cloze/text/tokenizer.h"

#include <algorithm>

#include "cloze/base/error.h"
#include "cloze/base/utf8.h"
#include "cloze/text/tokenizer_impl.h"

namespace cloze {
namespace {

void check_length(std::string_view text) {
  CLOZE_CHECK(text.size() <= kMaxTextBytes, ErrorCode::kValue, "a text of {} bytes is too long (limit {}); split it",
              text.size(), kMaxTextBytes);
}

/// The pieces of `text`, repaired if it must be; returns the number of replaced sequences.
template <class Append>
int64_t append_repaired(std::string_view text, Append&& append) {
  check_length(text);
  if (append(text)) return 0;
  int64_t replaced = 0;
  const std::string repaired = replace_invalid_utf8(text, replaced);
  append(repaired);
  return replaced;
}

/// Cuts the entries [begin, end()) down to `keep`.
template <class T>
void cut(std::vector<T>& list, size_t begin, int64_t keep, TruncationSide side) {
  const auto first = list.begin() + static_cast<std::ptrdiff_t>(begin);
  if (side == TruncationSide::kRight) {
    list.erase(first + keep, list.end());
  } else {
    list.erase(first, list.end() - keep);
  }
}

std::vector<AddedToken> in_order_of_ids(std::vector<AddedToken> tokens) {
  std::stable_sort(tokens.begin(), tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

}  // namespace

std::vector<AddedToken> resolve_added_tokens(const Vocabulary& vocabulary, const TokenizerOptions& options) {
  std::vector<AddedToken> tokens;
  if (options.added_tokens) {
    tokens = *options.added_tokens;
  } else {
    const SpecialTokenNames& names = vocabulary.names();
    for (const std::string& name : {names.pad, names.unk, names.cls, names.sep, names.mask})
      if (vocabulary.contains(name)) tokens.push_back({.content = name});
  }
  std::erase_if(tokens, [](const AddedToken& token) { return token.content.empty(); });
  std::unordered_map<std::string, int32_t> known;
  int32_t next = static_cast<int32_t>(vocabulary.size());
  for (AddedToken& token : tokens) {
    const auto in_vocabulary = vocabulary.id(token.content);
    const auto [entry, fresh] = known.try_emplace(token.content, in_vocabulary.value_or(next));
    CLOZE_CHECK(token.id < 0 || token.id == entry->second, ErrorCode::kFormat,
                "added token \"{}\" has the id {}, but {} {}", token.content, token.id,
                in_vocabulary ? "the vocabulary gives it" : "the next free id is", entry->second);
    // Hugging Face numbers them from the count of pieces, which is then the id of another piece.
    CLOZE_CHECK(in_vocabulary || vocabulary.distinct_size() == vocabulary.size(), ErrorCode::kUnsupported,
                "the added token \"{}\" is not in the vocabulary, which has holes or equal pieces ({} of {} ids in "
                "use): its id "
                "would be ambiguous; append it to the vocabulary",
                token.content, vocabulary.distinct_size(), vocabulary.size());
    token.id = entry->second;
    if (fresh && !in_vocabulary) ++next;
  }
  std::stable_partition(tokens.begin(), tokens.end(), [](const AddedToken& token) { return token.special; });
  return tokens;
}

Tokenizer::Impl::Impl(Vocabulary vocabulary_in, TokenizerOptions options_in)
    : vocabulary(std::move(vocabulary_in)),
      options(std::move(options_in)),
      added(resolve_added_tokens(vocabulary, options)),
      size(vocabulary.size()),
      encoder(vocabulary, {options.normalizer, options.continuing_prefix, options.max_chars_per_word, added}) {
  added = in_order_of_ids(std::move(added));
  if (!added.empty()) size = std::max<int64_t>(size, added.back().id + 1);
}

Tokenizer Tokenizer::from_vocabulary(Vocabulary vocabulary, TokenizerOptions options) {
  CLOZE_CHECK(vocabulary.size() > 0, ErrorCode::kFormat, "a tokenizer needs a vocabulary, this one is empty");
  CLOZE_CHECK(options.max_chars_per_word >= 0, ErrorCode::kValue, "max_chars_per_word is {}, expected 0 or more",
              options.max_chars_per_word);
  return Tokenizer(std::make_shared<const Impl>(std::move(vocabulary), std::move(options)));
}

EncodeCounts Tokenizer::encode_ids(std::string_view text, std::vector<int32_t>& ids,
                                   const EncodeOptions& options) const {
  const bool add = options.special_tokens == SpecialTokens::kAdd;
  EncodeCounts counts;
  if (add) ids.push_back(impl_->vocabulary.cls_id());
  const size_t begin = ids.size();
  counts.replaced_sequences =
      append_repaired(text, [&](std::string_view valid) { return impl_->encoder.append_ids(valid, ids); });
  const auto plan =
      plan_truncation(static_cast<int64_t>(ids.size() - begin), std::nullopt, add ? 2 : 0, options.truncation);
  cut(ids, begin, plan.first, options.truncation.side);
  counts.dropped_tokens = plan.dropped;
  if (add) ids.push_back(impl_->vocabulary.sep_id());
  return counts;
}

EncodeCounts Tokenizer::encode_pair_ids(std::string_view first, std::string_view second, std::vector<int32_t>& ids,
                                        std::vector<int32_t>& segments, const EncodeOptions& options) const {
  const bool add = options.special_tokens == SpecialTokens::kAdd;
  EncodeCounts counts;
  const auto append = [&](std::string_view valid) { return impl_->encoder.append_ids(valid, ids); };
  const size_t start = ids.size();
  if (add) ids.push_back(impl_->vocabulary.cls_id());
  const size_t begin = ids.size();
  counts.replaced_sequences = append_repaired(first, append);
  const size_t middle = ids.size();
  counts.replaced_sequences += append_repaired(second, append);
  const auto plan = plan_truncation(static_cast<int64_t>(middle - begin), static_cast<int64_t>(ids.size() - middle),
                                    add ? 3 : 0, options.truncation);
  counts.dropped_tokens = plan.dropped;
  cut(ids, middle, plan.second, options.truncation.side);
  if (plan.first < static_cast<int64_t>(middle - begin)) {
    const auto gone = static_cast<std::ptrdiff_t>(middle - begin) - plan.first;
    const auto from = ids.begin() + static_cast<std::ptrdiff_t>(options.truncation.side == TruncationSide::kRight
                                                                    ? begin + static_cast<size_t>(plan.first)
                                                                    : begin);
    ids.erase(from, from + gone);
  }
  size_t border = begin + static_cast<size_t>(plan.first);
  if (add) {
    ids.insert(ids.begin() + static_cast<std::ptrdiff_t>(border++), impl_->vocabulary.sep_id());
    ids.push_back(impl_->vocabulary.sep_id());
  }
  segments.resize(segments.size() + (border - start), 0);
  segments.resize(segments.size() + (ids.size() - border), 1);
  return counts;
}

const Vocabulary& Tokenizer::vocabulary() const {
  return impl_->vocabulary;
}
const TokenizerOptions& Tokenizer::options() const {
  return impl_->options;
}
const std::vector<AddedToken>& Tokenizer::added_tokens() const {
  return impl_->added;
}
int64_t Tokenizer::size() const {
  return impl_->size;
}

std::string_view Tokenizer::token(int32_t id) const {
  if (id >= 0 && id < impl_->vocabulary.size()) return impl_->vocabulary.piece(id);
  for (const AddedToken& token : impl_->added)
    if (token.id == id) return token.content;
  fail(ErrorCode::kValue, "token id {} is outside the tokenizer's {} ids", id, impl_->size);
}

}  // namespace cloze
