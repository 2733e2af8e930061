// fill-mask: words behind masks (Devlin et al., 2019, section 3.1, task 1).
#include "cloze/task/fill_mask.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "cloze/base/profile.h"
#include "cloze/base/thread_team.h"
#include "cloze/data/masking.h"
#include "cloze/task/batches.h"
#include "cloze/task/masked_text.h"
#include "cloze/task/masked_words.h"
#include "cloze/task/pretrained.h"

namespace cloze {
namespace {

constexpr const char* kFillMask = "fill-mask";
constexpr int64_t kTopK = 5;
constexpr uint64_t kEvaluationSeed = 42;

class FillMaskPredictor : public Predictor {
 public:
  FillMaskPredictor(const ModelFiles& files, const LoadOptions& options)
      : loaded_(load_pretrained(files, options, {.masked_words = true, .next_sentence = false}, kFillMask,
                                "BertForMaskedLM and BertForPreTraining")),
        mask_name_(tokenizer().vocabulary().names().mask),
        mask_(find_mask_token(files.dir().string())),
        top_k_(options.top_k.value_or(std::min(kTopK, tokenizer().size()))) {
    CLOZE_CHECK(top_k_ >= 1 && top_k_ <= tokenizer().size(), ErrorCode::kUsage,
                "--top-k must be 1 to {}, the size of the vocabulary, got {}", tokenizer().size(), top_k_);
  }

  Answers predict(std::span<const TextExample> rows) override;
  Evaluation evaluate(std::span<const TextExample> rows, const std::string& file) override;
  void check(const TextExample& row, const std::string& file) const override { check(masked(row), row, file); }
  ColumnOptions prediction_columns() const override {
    ColumnOptions columns;
    columns.label_need = Need::kIgnored;
    return columns;
  }
  ColumnOptions evaluation_columns() const override { return prediction_columns(); }
  TextExample sample_row() const override {
    TextExample row = Predictor::sample_row();
    row.text += " " + mask_name_;
    return row;
  }
  const LoadReport& load_report() const override { return loaded_->report; }
  const RowLimits& limits() const override { return loaded_->limits; }

 private:
  const Tokenizer& tokenizer() const { return loaded_->tokenizer; }

  int32_t find_mask_token(const std::string& where) const {
    for (const AddedToken& token : tokenizer().added_tokens())
      if (token.content == mask_name_) return check_found(token.id, where);
    return check_found(tokenizer().vocabulary().mask_id(), where);
  }
  int32_t check_found(int32_t id, const std::string& where) const {
    std::vector<int32_t> ids;
    tokenizer().encode_ids(mask_name_, ids, {.special_tokens = SpecialTokens::kNone, .truncation = {}});
    CLOZE_CHECK(ids == std::vector<int32_t>{id}, ErrorCode::kFormat,
                "{}: the tokenizer does not find the mask token \"{}\" in text: list it among tokenizer.json's "
                "\"added_tokens\"",
                where, mask_name_);
    return id;
  }

  MaskedText masked(const TextExample& row) const {
    return find_masks(tokenizer(), row, loaded_->limits, mask_, mask_name_);
  }
  void check(const MaskedText& text, const TextExample& row, const std::string& file) const {
    CLOZE_CHECK(!text.masks.empty(), ErrorCode::kValue, "{}: the row has no {}, so there is nothing to fill",
                place_of(row, file), mask_name_);
    const auto cut = std::ranges::count(text.masks, -1, &Mask::position);
    CLOZE_CHECK(cut == 0, ErrorCode::kValue,
                "{}: {} of {} {} would be cut off, for the row is longer than {} tokens: shorten it, or read all of it "
                "with --long window",
                place_of(row, file), cut, text.masks.size(), mask_name_, loaded_->limits.max_length);
  }
  std::string answer(const MaskedText& text, const TextExample& row, std::span<const std::vector<RankedWord>> words,
                     const EncodedRows& encoded, size_t number) const;

  std::unique_ptr<Pretrained> loaded_;
  std::string mask_name_;
  int32_t mask_;
  int64_t top_k_;
};

Answers FillMaskPredictor::predict(std::span<const TextExample> rows) {
  std::vector<MaskedText> texts(rows.size());
  {
    const ProfilePhase phase("tokenize");
    thread_team().for_ranges(static_cast<int64_t>(rows.size()), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) texts[static_cast<size_t>(i)] = masked(rows[static_cast<size_t>(i)]);
    });
  }
  EncodedRows encoded;
  std::vector<AskedToken> asked;
  std::vector<size_t> first_mask = {0};
  for (size_t i = 0; i < rows.size(); ++i) {
    check(texts[i], rows[i], "");
    for (const Mask& mask : texts[i].masks) asked.push_back({encoded.begin.back() + mask.sequence, mask.position});
    first_mask.push_back(asked.size());
    std::ranges::move(texts[i].row.sequences, std::back_inserter(encoded.sequences));
    encoded.begin.push_back(encoded.sequences.size());
    encoded.dropped.push_back(texts[i].row.dropped);
  }
  std::vector<std::vector<RankedWord>> words(asked.size());
  visit_masked_logits(loaded_->model, encoded.sequences, asked, [&](size_t i, std::span<const float> logits) {
    words[i] = best_words(logits, tokenizer().size(), top_k_);
  });
  const ProfilePhase phase("output");
  Answers answers{.lines = {}, .lengths = encoded.counts()};
  const std::span<const std::vector<RankedWord>> all = words;
  for (size_t i = 0; i < rows.size(); ++i)
    answers.lines.push_back(answer(texts[i], rows[i], all.subspan(first_mask[i], texts[i].masks.size()), encoded, i));
  return answers;
}

std::string FillMaskPredictor::answer(const MaskedText& text, const TextExample& row,
                                      std::span<const std::vector<RankedWord>> words, const EncodedRows& encoded,
                                      size_t number) const {
  std::vector<std::string_view> best;
  for (const std::vector<RankedWord>& ranked : words) best.push_back(tokenizer().token(ranked.front().id));
  const std::string& prefix = tokenizer().options().continuing_prefix;
  JsonLine line;
  line.begin_object().member("text", fill_masks(text, false, best, prefix));
  if (row.text_pair) line.member("text_pair", fill_masks(text, true, best, prefix));
  line.key("masks").begin_array();
  for (size_t m = 0; m < text.masks.size(); ++m) {
    const Mask& mask = text.masks[m];
    line.begin_object().member("in", mask.in_second ? "text_pair" : "text").key("offset").begin_array();
    line.value(mask.offset.begin).value(mask.offset.end).end_array().key("top").begin_array();
    for (const RankedWord& word : words[m])
      line.begin_object()
          .member("token", tokenizer().token(word.id))
          .member("id", word.id)
          .member("probability", word.probability)
          .end_object();
    line.end_array().end_object();
  }
  line.end_array().member("tokens", encoded.tokens(number));
  line.member("windows", static_cast<int64_t>(encoded.windows(number))).member("truncated", encoded.dropped[number]);
  return line.end_object().take();
}

/// Masks one sequence of a row by numbers that depend on `number` alone.
void mask_sequence(const Masker& masker, const TracedRow& row, size_t s, uint64_t number, TokenSequence& sequence,
                   std::vector<int32_t>& positions, std::vector<int32_t>& targets) {
  std::vector<uint8_t> begins_word(sequence.ids.size(), 1);
  for (size_t i = 1; i < begins_word.size(); ++i) {
    const int32_t piece = row.pieces[s][i];
    if (piece < 1 || row.pieces[s][i - 1] != piece - 1) continue;
    const size_t at = static_cast<size_t>(piece);
    if (row.in_second(at) != row.in_second(at - 1)) continue;
    const std::vector<int32_t>& words = row.encoding(at).words;
    begins_word[i] = words[row.place(at)] != words[row.place(at) - 1];
  }
  const auto key = philox(kEvaluationSeed, static_cast<uint32_t>(RandomStream::kMask), 0, number);
  Rng random(uint64_t{key[0]} << 32 | key[1], RandomStream::kMask);
  masker.mask(sequence.ids, begins_word, random, positions, targets);
}

Evaluation FillMaskPredictor::evaluate(std::span<const TextExample> rows, const std::string& file) {
  const Masker masker(tokenizer(), {});
  EncodedRows encoded;
  std::vector<AskedToken> asked;
  std::vector<int32_t> targets;
  ProfilePhase phase("tokenize");
  for (const TextExample& row : rows) {
    TracedRow traced = trace_row(tokenizer(), row, loaded_->limits);
    for (size_t s = 0; s < traced.sequences.size(); ++s) {
      const size_t number = encoded.sequences.size();
      std::vector<int32_t> positions;
      mask_sequence(masker, traced, s, number, traced.sequences[s], positions, targets);
      for (const int32_t position : positions) asked.push_back({number, position});
      encoded.sequences.push_back(std::move(traced.sequences[s]));
    }
    encoded.begin.push_back(encoded.sequences.size());
    encoded.dropped.push_back(traced.dropped);
  }
  CLOZE_CHECK(!asked.empty(), ErrorCode::kValue, "{}: no row has a token that could be masked", file);
  phase.next("forward");
  std::vector<WordScore> scores(asked.size());
  visit_masked_logits(loaded_->model, encoded.sequences, asked,
                      [&](size_t i, std::span<const float> logits) { scores[i] = score_word(logits, targets[i]); });
  const double n = static_cast<double>(scores.size());
  double loss = 0, right = 0, near = 0;
  for (const WordScore& score : scores) {
    loss -= score.log_probability;
    right += score.rank == 0;
    near += score.rank < 5;
  }
  Evaluation result;
  result.lengths = encoded.counts();
  result.metrics = {{"loss", loss / n},
                    {"perplexity", std::exp(loss / n)},
                    {"accuracy", right / n},
                    {"top5_accuracy", near / n},
                    {"masked_tokens", n}};
  result.text = fmt::format(
      "masked tokens   {:>10}\nperplexity      {:>10.3f}\naccuracy        {:>10.4f}\ntop-5 accuracy  {:>10.4f}\n",
      scores.size(), std::exp(loss / n), right / n, near / n);
  return result;
}

}  // namespace

std::unique_ptr<Predictor> load_fill_mask(const ModelFiles& files, const LoadOptions& options) {
  return std::make_unique<FillMaskPredictor>(files, options);
}

}  // namespace cloze
