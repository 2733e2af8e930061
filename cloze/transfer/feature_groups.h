// The kinds of FeatureGroup, each with a way to be fitted and a way to be read back. Serves row_features.cc.
#pragma once

#include "cloze/transfer/row_features.h"

namespace cloze {

using FeatureGroupPtr = std::shared_ptr<FeatureGroup>;

/// A column of numbers: standardised; where training rows miss it (empty, "NA", "NaN", "null", "?"), the mean, and a
/// second number that says so. Errors: kValue for a cell that is no number, a column without any, a constant one.
FeatureGroupPtr fit_numeric(const std::string& column, const FeatureRows& rows, size_t extra);
FeatureGroupPtr load_numeric(const Json& json, const std::string& where);

/// A column of words: one-hot over the kMostCategories most frequent values; an empty cell is a value like any other; a
/// value that training did not see is all zeros. Errors: kValue for a constant column.
inline constexpr size_t kMostCategories = 256;
FeatureGroupPtr fit_category(const std::string& column, const FeatureRows& rows, size_t extra);
FeatureGroupPtr load_category(const Json& json, const std::string& where);

/// A word list: UTF-8, "word<TAB>weight" a line ('#' begins a comment). Two numbers: the sums of positive and of
/// negative weights of the entries found (the longest first, never inside a word of letters), divided by the square
/// root of the count of words, standardised. Case does not matter. Errors: kNotFound, kIo; kFormat, with the line, for
/// what is not UTF-8 or has no weight; kValue where no training row holds an entry.
FeatureGroupPtr fit_lexicon(const Path& file, const FeatureRows& rows);
FeatureGroupPtr load_lexicon(const Json& json, const std::string& where);

/// TF-IDF: words (ICU's) and pairs of them, or runs of 1 to 3 characters; of those in two rows or more the `terms` that
/// are in most rows. (1 + log tf) (1 + log((1 + n) / (1 + df))), scaled to the group's length. Errors: kValue where
/// there are no such terms.
inline constexpr int64_t kDefaultTerms = 2000;
FeatureGroupPtr fit_tfidf(bool words, int64_t terms, const FeatureRows& rows);
FeatureGroupPtr load_tfidf(bool words, const Json& json, const std::string& where);

/// A second encoder's vectors, standardised and scaled. `argument`: DIR or DIR:POOLING (mean). It is saved in a folder
/// of its own within the model directory.
FeatureGroupPtr fit_encoder(const std::string& argument, const FeatureRows& rows);
FeatureGroupPtr load_encoder(const Json& json, const ModelFiles& files, const std::string& where);

/// Mean and 1 / deviation of columns of x [n,D]; 0 where a column is constant. Deviations are over n.
void column_scale(const Tensor& x, int64_t begin, int64_t width, std::vector<float>& mean, std::vector<float>& scale);
/// x <- (x - mean) * scale * factor in those columns.
void apply_scale(const Tensor& x, int64_t begin, std::span<const float> mean, std::span<const float> scale,
                 double factor);
Json floats_to_json(std::span<const float> values);
/// Errors: kFormat unless it is an array of finite numbers.
std::vector<float> floats_of(const Json& json, const char* key, const std::string& where);
/// A text as terms and lexicons read it: lower case, blanks made one space.
std::u32string folded_text(const TextExample& row);
std::string utf8_of(std::u32string_view text);

}  // namespace cloze
