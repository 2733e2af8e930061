#include "cloze/text/wordpiece_alphabet.h"

#include <algorithm>
#include <tuple>

#include "cloze/text/utf8_step.h"

namespace cloze {
namespace {

constexpr size_t kForms = size_t{0x110000} * 2;

}  // namespace

Alphabet::Alphabet(std::span<const WordCount> words) : symbols_(kForms, -1) {
  std::vector<int64_t> counts(kForms, 0);
  for (const WordCount& word : words) {
    for (size_t at = 0; at < word.word.size();) {
      const Utf8Step step = decode_step(word.word, at);
      counts[size_t{step.code_point} * 2 + (at > 0 ? 1 : 0)] += word.count;
      total_ += word.count;
      at += static_cast<size_t>(step.length_bytes);
    }
  }
  for (uint32_t id = 0; id < kForms; ++id)
    if (counts[id] > 0) forms_.push_back({id, counts[id]});
  std::sort(forms_.begin(), forms_.end(),
            [](const Form& a, const Form& b) { return std::tie(b.count, a.id) < std::tie(a.count, b.id); });
}

void Alphabet::choose(int64_t min_frequency, int64_t most) {
  std::vector<uint32_t> chosen;
  int64_t covered = 0;
  left_out_ = 0;
  for (const Form& form : forms_) {
    if (form.count < min_frequency) break;
    if (static_cast<int64_t>(chosen.size()) == most) {
      ++left_out_;
      continue;
    }
    chosen.push_back(form.id);
    covered += form.count;
  }
  coverage_ = total_ == 0 ? 0 : static_cast<double>(covered) / static_cast<double>(total_);
  std::sort(chosen.begin(), chosen.end(), [](uint32_t a, uint32_t b) {
    return std::pair(a & 1, a) < std::pair(b & 1, b);  // beginnings first
  });
  std::fill(symbols_.begin(), symbols_.end(), -1);
  pieces_.clear();
  for (const uint32_t id : chosen) {
    symbols_[id] = static_cast<int32_t>(pieces_.size());
    pieces_.emplace_back((id & 1) != 0 ? "##" : "");
    pieces_.back() += ShortText(id / 2).view();
  }
}

int64_t Alphabet::forms_for(double share) const {
  const double wanted = share * static_cast<double>(total_);
  int64_t covered = 0, forms = 0;
  for (const Form& form : forms_) {
    if (static_cast<double>(covered) >= wanted) break;
    covered += form.count;
    ++forms;
  }
  return forms;
}

}  // namespace cloze
