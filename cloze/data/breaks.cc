#include "cloze/data/breaks.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include "cloze/base/error.h"

namespace cloze {

struct TextBreaker::Iterator {
  std::unique_ptr<icu::BreakIterator> breaks;
  UText text = UTEXT_INITIALIZER;
  ~Iterator() { utext_close(&text); }
};

TextBreaker::TextBreaker(Unit unit) : iterator_(std::make_unique<Iterator>()) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Locale& locale = icu::Locale::getRoot();
  iterator_->breaks.reset(unit == Unit::kSentence ? icu::BreakIterator::createSentenceInstance(locale, status)
                                                  : icu::BreakIterator::createWordInstance(locale, status));
  CLOZE_CHECK(U_SUCCESS(status), ErrorCode::kInternal, "ICU cannot find text borders: {}; is its data installed?",
              u_errorName(status));
}

TextBreaker::~TextBreaker() = default;
TextBreaker::TextBreaker(TextBreaker&&) noexcept = default;
TextBreaker& TextBreaker::operator=(TextBreaker&&) noexcept = default;

const std::vector<int32_t>& TextBreaker::borders(std::string_view text) {
  borders_.clear();
  if (text.empty()) return borders_;
  UErrorCode status = U_ZERO_ERROR;
  utext_openUTF8(&iterator_->text, text.data(), static_cast<int64_t>(text.size()), &status);
  iterator_->breaks->setText(&iterator_->text, status);
  CLOZE_CHECK(U_SUCCESS(status), ErrorCode::kInternal, "ICU cannot read a text of {} bytes: {}", text.size(),
              u_errorName(status));
  iterator_->breaks->first();
  for (int32_t at = iterator_->breaks->next(); at != icu::BreakIterator::DONE; at = iterator_->breaks->next())
    borders_.push_back(at);
  return borders_;
}

}  // namespace cloze
