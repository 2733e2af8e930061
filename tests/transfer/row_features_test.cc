// Numbers joined to a text's vector: what each kind gives, what it refuses, and that it is read back to the bit.
#include "cloze/transfer/row_features.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>

#include "cloze/base/error.h"
#include "cloze/transfer/feature_groups.h"
#include "tests/base/temporary.h"

namespace cloze {
namespace {

using test::error_of;
using ::testing::HasSubstr;

class Place {
 public:
  Place() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloze-features-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
  }
  ~Place() { std::filesystem::remove_all(dir_); }
  Path operator/(const std::string& name) const { return dir_ / name; }
  Path file(const std::string& name, const std::string& content) const {
    write_file(dir_ / name, content);
    return dir_ / name;
  }

 private:
  Path dir_;
};

TextExample features_row(const std::string& text, std::vector<std::string> extra = {}) {
  TextExample example;
  example.text = text;
  example.extra = std::move(extra);
  example.line = 7;
  return example;
}

/// What a group gives for rows.
std::vector<std::vector<float>> numbers_of(const FeatureGroup& group, const std::vector<TextExample>& rows) {
  const Tensor x = Tensor::zeros({static_cast<int64_t>(rows.size()), group.width() + 2}, DType::kF32);
  group.fill(rows, 0, "f.tsv", x, 1);
  std::vector<std::vector<float>> numbers;
  for (int64_t n = 0; n < x.shape()[0]; ++n) {
    const float* begin = x.data<float>() + n * x.shape()[1];
    EXPECT_EQ(begin[0], 0) << "not the group's";
    EXPECT_EQ(begin[x.shape()[1] - 1], 0) << "not the group's";
    numbers.emplace_back(begin + 1, begin + 1 + group.width());
  }
  return numbers;
}

using Rows = std::vector<std::vector<float>>;

TEST(NumericFeature, StandardisesAndMarksWhatIsMissing) {
  const std::vector<TextExample> rows = {features_row("", {"1"}), features_row("", {" +3 "}), features_row("", {"NA"}),
                                         features_row("", {""})};
  const FeatureGroupPtr all = fit_numeric("stars", {{rows.data(), 2}, "f.tsv", ""}, 0);
  EXPECT_EQ(numbers_of(*all, rows), (Rows{{-1}, {1}, {0}, {0}}));
  const FeatureGroupPtr some = fit_numeric("stars", {rows, "f.tsv", ""}, 0);
  EXPECT_EQ(numbers_of(*some, rows), (Rows{{-1, 0}, {1, 0}, {0, 1}, {0, 1}}));
  EXPECT_EQ(some->summary, "numeric stars: mean 2, deviation 1; missing in 2 of 4 rows");
}

TEST(NumericFeature, Refusals) {
  const auto fit = [](const std::vector<std::string>& cells) {
    std::vector<TextExample> rows;
    for (const std::string& cell : cells) rows.push_back(features_row("", {cell}));
    fit_numeric("stars", {rows, "f.tsv", ""}, 0);
  };
  EXPECT_THAT(error_of(
                  [&] {
                    fit({"1", "five"});
                  },
                  ErrorCode::kValue),
              HasSubstr("f.tsv line 7: column \"stars\": \"five\" is not a number"));
  EXPECT_THAT(error_of([&] { fit({"1", "1e999"}); }, ErrorCode::kValue), HasSubstr("is not a number"));
  EXPECT_THAT(error_of(
                  [&] {
                    fit({"4", "4.0"});
                  },
                  ErrorCode::kValue),
              HasSubstr("column \"stars\" is 4 in all 2 rows, which tells nothing; leave it out"));
  EXPECT_THAT(error_of([&] { fit({"", "na"}); }, ErrorCode::kValue), HasSubstr("holds no number"));
  EXPECT_NO_THROW(fit({"4", ""})) << "that it is missing tells something";
}

TEST(CategoryFeature, OneHotWithEmptyAsAValue) {
  const std::vector<TextExample> rows = {features_row("", {"b"}), features_row("", {"a"}), features_row("", {"b "}),
                                         features_row("", {""})};
  const FeatureGroupPtr group = fit_category("shop", {rows, "f.tsv", ""}, 0);
  EXPECT_EQ(numbers_of(*group, {rows[0], rows[1], rows[3], features_row("", {"new"})}),
            (Rows{{1, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 0, 0}}));
  EXPECT_EQ(group->summary, "category shop: 3 values; empty in 1 of 4 rows");
  EXPECT_THAT(error_of(
                  [&] {
                    fit_category("shop", {{rows.data(), 1}, "f.tsv", ""}, 0);
                  },
                  ErrorCode::kValue),
              HasSubstr("is \"b\" in all 1 rows"));
}

/// The sums before scaling follow from the scale, which is in the JSON.
TEST(LexiconFeature, TheLongestEntryCountsAndNeverWithinAWord) {
  const Place place;
  const Path file = place.file("l.txt", "\xEF\xBB\xBF# weights\ngood\t2\nvery good\t3\r\nbad\t-1\n不好\t-4\n好\t+1\n");
  const std::vector<TextExample> rows = {features_row("GOOD goods"), features_row("a very  good, bad dog x"),
                                         features_row("这不好"), features_row("好好好好"), features_row("nothing")};
  const FeatureGroupPtr group = fit_lexicon(file, {rows, "f.tsv", ""});
  const Json json = group->to_json();
  const Rows expected = {{static_cast<float>(2 / std::sqrt(2)), 0},
                         {static_cast<float>(3 / std::sqrt(6)), static_cast<float>(-1 / std::sqrt(6))},
                         {0, static_cast<float>(-4 / std::sqrt(3))},
                         {4.0F / 2, 0},
                         {0, 0}};
  const Rows found = numbers_of(*group, rows);
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t i = 0; i < 2; ++i)
      EXPECT_NEAR(static_cast<double>(found[r][i]) / json["scale"][i].get<double>() + json["mean"][i].get<double>(),
                  static_cast<double>(expected[r][i]), 1e-5)
          << r << " " << i;
  EXPECT_THAT(group->summary, HasSubstr("words in 4 of 5 rows"));
}

TEST(LexiconFeature, Refusals) {
  const Place place;
  const std::vector<TextExample> rows = {features_row("good")};
  const auto fit = [&](const std::string& content) { fit_lexicon(place.file("l.txt", content), {rows, "f.tsv", ""}); };
  EXPECT_THAT(error_of([&] { fit("good\t1\n\xBA\xC3\t1\n"); }, ErrorCode::kFormat),
              HasSubstr("l.txt line 2: byte 1 is not UTF-8; convert the list"));
  EXPECT_THAT(error_of([&] { fit("good 1\n"); }, ErrorCode::kFormat), HasSubstr("line 1: expected a word, a tab and"));
  EXPECT_THAT(error_of([&] { fit("good\tmuch\n"); }, ErrorCode::kFormat), HasSubstr("found the weight \"much\""));
  EXPECT_THAT(error_of([&] { fit(" \t1\n"); }, ErrorCode::kFormat), HasSubstr("the word is empty"));
  EXPECT_THAT(error_of([&] { fit("# none\n"); }, ErrorCode::kValue), HasSubstr("there are no words"));
  EXPECT_THAT(error_of([&] { fit("bad\t1\n"); }, ErrorCode::kValue), HasSubstr("none of its words is in any of the 1"));
  EXPECT_THAT(error_of(
                  [&] {
                    fit_lexicon(place / "no.txt", {rows, "f.tsv", ""});
                  },
                  ErrorCode::kNotFound),
              HasSubstr("no.txt"));
}

/// Three rows; "a" is in all, "b" and "a b" in two, the others in one.
TEST(TfidfFeature, WordsAndPairsByFormula) {
  const std::vector<TextExample> rows = {features_row("A b"), features_row("a, B a"), features_row("a c")};
  const FeatureGroupPtr group = fit_tfidf(true, 10, {rows, "f.tsv", ""});
  EXPECT_EQ(group->to_json()["terms"], Json({"a", "a b", "b"}));
  const double idf_a = 1 + std::log(4.0 / 4), idf_b = 1 + std::log(4.0 / 3);
  const double a = (1 + std::log(2.0)) * idf_a, length = std::sqrt(a * a + 2 * idf_b * idf_b);
  const Rows found = numbers_of(*group, {rows[1], features_row("x y")});
  EXPECT_NEAR(static_cast<double>(found[0][0]), 16 * a / length, 1e-5);
  EXPECT_NEAR(static_cast<double>(found[0][1]), 16 * idf_b / length, 1e-5);
  EXPECT_EQ(found[1], (std::vector<float>{0, 0, 0}));
  const FeatureGroupPtr one = fit_tfidf(true, 1, {rows, "f.tsv", ""});
  EXPECT_EQ(one->to_json()["terms"], Json({"a"})) << "the most frequent";
}

TEST(TfidfFeature, RunsOfCharacters) {
  const std::vector<TextExample> rows = {features_row("好吃 不"), features_row("好吃")};
  const FeatureGroupPtr group = fit_tfidf(false, 10, {rows, "f.tsv", ""});
  EXPECT_EQ(group->to_json()["terms"], Json({"吃", "好", "好吃"}));
  const std::vector<TextExample> apart = {features_row("a"), features_row("b")};
  EXPECT_THAT(error_of(
                  [&] {
                    fit_tfidf(false, 10, {apart, "f.tsv", ""});
                  },
                  ErrorCode::kValue),
              HasSubstr("--features tfidf-chars: no term is in two rows of the 2"));
}

TEST(JoinedFeatures, ScalesGroupsAndComesBackToTheBit) {
  const Place place;
  const std::vector<TextExample> rows = {features_row("good food", {"1", "x"}), features_row("bad food", {"2", "y"}),
                                         features_row("good", {"", "x"})};
  const Tensor vectors = Tensor::of<float>({3, 2}, {1.0F, 5.0F, 2.0F, 5.0F, 3.0F, 5.0F});
  const std::vector<FeatureSpec> specs = {parse_feature("numeric=stars"), parse_feature("tfidf-words"),
                                          parse_feature("lexicon=" + place.file("l", "good\t1\nbad\t-1\n").string()),
                                          parse_feature("category=shop")};
  const JoinedFeatures joined = [&] {
    JoinedFeatures fitted = JoinedFeatures::fit(specs, {rows, "f.tsv", ""});
    fitted.fit_text(vectors);
    return fitted;
  }();
  EXPECT_EQ(joined.columns(), (std::vector<std::string>{"stars", "shop"}));
  EXPECT_EQ(joined.width(), 2 + 2 + 2 + 2 + 2);
  const Tensor x = joined.join(vectors, rows, "f.tsv");
  const float* first = x.data<float>();
  EXPECT_NEAR(first[0], -std::sqrt(1.5) * std::sqrt(kGroupSquare / 2), 1e-4);
  EXPECT_EQ(first[1], 0) << "a constant tells nothing";
  EXPECT_EQ(first[2], -1) << "stars";
  EXPECT_NEAR(first[4] * first[4] + first[5] * first[5], kGroupSquare, 1e-3) << "food, good";
  EXPECT_EQ(first[8], 1) << "shop x";
  const ModelFiles files = ModelFiles::create(place / "model");
  joined.save(files);
  const JoinedFeatures again = JoinedFeatures::load(files);
  EXPECT_EQ(again.columns(), joined.columns());
  const Tensor y = again.join(vectors, rows, "f.tsv");
  for (int64_t i = 0; i < x.elements(); ++i) EXPECT_EQ(x.data<float>()[i], y.data<float>()[i]) << i;
  EXPECT_THAT(error_of(
                  [&] {
                    again.check(features_row("good", {"much", "x"}), "g.tsv");
                  },
                  ErrorCode::kValue),
              HasSubstr("g.tsv line 7: column \"stars\": \"much\" is not a number"));
  EXPECT_THAT(error_of([&] { again.check(features_row("good"), "g.txt"); }, ErrorCode::kUsage),
              HasSubstr("give a table"));
}

TEST(JoinedFeatures, WithoutATextLoneNumbersAreScaledUp) {
  const Place place;
  const std::vector<TextExample> rows = {features_row("a b", {"1", "x"}), features_row("a", {"3", "y"})};
  const JoinedFeatures joined = JoinedFeatures::fit(
      {parse_feature("numeric=n"), parse_feature("tfidf-words"), parse_feature("category=c")}, {rows, "f.tsv", ""});
  ASSERT_EQ(joined.width(), 4);
  const Tensor x = joined.numbers(rows, "f.tsv");
  EXPECT_EQ(std::vector<float>(x.data<float>(), x.data<float>() + 8),
            (std::vector<float>{-128, 16, 128, 0, 128, 16, 0, 128}));
  const ModelFiles files = ModelFiles::create(place / "model");
  joined.save(files);
  const Tensor y = JoinedFeatures::load(files).numbers(rows, "f.tsv");
  for (int64_t i = 0; i < x.elements(); ++i) EXPECT_EQ(x.data<float>()[i], y.data<float>()[i]) << i;
}

TEST(JoinedFeatures, BrokenFilesAreRefused) {
  const Place place;
  const std::vector<TextExample> rows = {features_row("a b", {"1"}), features_row("a", {"2"})};
  const Tensor vectors = Tensor::of<float>({2, 1}, {1.0F, 5.0F});
  const ModelFiles files = ModelFiles::create(place / "model");
  JoinedFeatures fitted =
      JoinedFeatures::fit({parse_feature("tfidf-words"), parse_feature("numeric=n")}, {rows, "f.tsv", ""});
  fitted.fit_text(vectors);
  fitted.save(files);
  const Json good = files.read_json(JoinedFeatures::kFile);
  const auto expect_refused = [&](const std::function<void(Json&)>& damage, const std::string& words) {
    Json bad = good;
    damage(bad);
    files.write_json(JoinedFeatures::kFile, bad);
    try {
      JoinedFeatures::load(files);
      ADD_FAILURE() << words;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
  };
  expect_refused([](Json& j) { j["version"] = 2; }, "\"version\" 2 is not 1");
  expect_refused([](Json& j) { j["text_mean"] = Json::array(); }, "must be of one length");
  expect_refused([](Json& j) { j["text_scale"][0] = "x"; }, "expected finite numbers under \"text_scale\"");
  expect_refused([](Json& j) { j.erase("groups"); }, "expected an array under \"groups\"");
  expect_refused([](Json& j) { j["groups"][0]["kind"] = "magic"; }, "unknown \"kind\" \"magic\"");
  expect_refused([](Json& j) { j["groups"][0]["idf"].push_back(1); }, "as many \"terms\" as \"idf\"");
  expect_refused([](Json& j) { j["groups"][0]["terms"][0] = 5; }, "expected strings under \"terms\"");
  expect_refused([](Json& j) { j["groups"][1].erase("column"); }, "\"column\" of numeric features");
  expect_refused([](Json& j) { j["groups"][1]["deviation"] = 0; }, "\"deviation\" 0 of numeric features");
}

TEST(FeatureSpecs, MistakesAreUsage) {
  const auto refusal = [](const std::string& text) {
    return error_of([&] { parse_feature(text); }, ErrorCode::kUsage);
  };
  EXPECT_THAT(refusal("numerc=x"), HasSubstr("unknown \"numerc\", did you mean numeric?"));
  EXPECT_THAT(refusal("lexicon"), HasSubstr("say of which, as in lexicon=FILE"));
  EXPECT_THAT(refusal("tfidf-words=0"), HasSubstr("must be 1 to 100000"));
  EXPECT_THAT(refusal("tfidf-words=many"), HasSubstr("must be 1 to 100000"));
}

}  // namespace
}  // namespace cloze
