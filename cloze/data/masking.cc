#include "cloze/data/masking.h"

#include <algorithm>
#include <cmath>

#include "cloze/base/error.h"

namespace cloze {
namespace {

/// A run of tokens that are masked together.
struct Word {
  int32_t begin, end;
};

}  // namespace

Masker::Masker(const Tokenizer& tokenizer, const MaskingOptions& options)
    : options_(options),
      mask_id_(tokenizer.vocabulary().mask_id()),
      maskable_(static_cast<size_t>(tokenizer.size()), true) {
  const auto is_share = [](double share) { return share >= 0 && share <= 1; };
  CLOZE_CHECK(options.rate > 0 && options.rate < 1, ErrorCode::kUsage,
              "the share of masked tokens must be above 0 and below 1, got {}", options.rate);
  CLOZE_CHECK(is_share(options.mask_share) && is_share(options.random_share) &&
                  options.mask_share + options.random_share <= 1 + 1e-12,
              ErrorCode::kUsage, "shares of [MASK] and of random tokens must be 0 to 1 together, got {} and {}",
              options.mask_share, options.random_share);
  const SpecialTokenNames& names = tokenizer.vocabulary().names();
  for (size_t id = 0; id < maskable_.size(); ++id) {
    const std::string_view token = tokenizer.token(static_cast<int32_t>(id));
    const bool special = token == names.pad || token == names.unk || token == names.cls || token == names.sep ||
                         token == names.mask || token.empty();
    const bool unused = token.starts_with("[unused") && token.ends_with(']');
    maskable_[id] = !special && !unused;
  }
  for (const AddedToken& token : tokenizer.added_tokens())
    if (token.special) maskable_[static_cast<size_t>(token.id)] = false;
  for (size_t id = 0; id < maskable_.size(); ++id)
    if (maskable_[id]) drawable_.push_back(static_cast<int32_t>(id));
  CLOZE_CHECK(!drawable_.empty(), ErrorCode::kValue, "the vocabulary has nothing but special tokens");
}

void Masker::mask(std::span<int32_t> ids, std::span<const uint8_t> begins_word, Rng& random,
                  std::vector<int32_t>& positions, std::vector<int32_t>& targets) const {
  std::vector<Word> words;
  int64_t tokens = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(ids.size()); ++i) {
    const size_t at = static_cast<size_t>(i);
    if (!maskable(ids[at])) continue;
    ++tokens;
    const bool follows = options_.whole_words && begins_word[at] == 0 && !words.empty() && words.back().end == i;
    if (follows)
      words.back().end = i + 1;
    else
      words.push_back({i, i + 1});
  }
  if (tokens == 0) return;
  int64_t wanted = std::max<int64_t>(1, std::llround(options_.rate * static_cast<double>(tokens)));
  std::vector<Word> chosen;
  for (size_t left = words.size(); left > 0 && wanted > 0; --left) {
    std::swap(words[random.below(left)], words[left - 1]);
    const Word word = words[left - 1];
    const int64_t length = word.end - word.begin;
    if (length > wanted && !(chosen.empty() && left == 1)) continue;
    wanted -= length;
    chosen.push_back(word);
  }
  std::ranges::sort(chosen, {}, &Word::begin);
  for (const Word& word : chosen) {
    for (int32_t i = word.begin; i < word.end; ++i) {
      int32_t& id = ids[static_cast<size_t>(i)];
      positions.push_back(i);
      targets.push_back(id);
      const double draw = random.uniform();
      if (draw < options_.mask_share)
        id = mask_id_;
      else if (draw < options_.mask_share + options_.random_share)
        id = drawable_[random.below(drawable_.size())];
    }
  }
}

}  // namespace cloze
