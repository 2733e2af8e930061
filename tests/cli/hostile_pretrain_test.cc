// `cloze pretrain` and what cannot be: one message that says it, before anything is tokenized where that can be, and
// nothing left behind.
#include "hostile.h"
#include "small_disk.h"

namespace cloze::test {
namespace {

struct Wrong {
  const char* name;
  std::string command;
  std::vector<std::string> words;
  int exit_code = 2;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << wrong.name;
}

/// A run of milliseconds with `more` options, which replace its own; `without` names some to leave out.
std::string pretrain(const std::string& more, const std::string& without = "") {
  const std::string_view own[][2] = {
      {"--vocab", "$M/vocab.txt"},
      {"--layers", "1"},
      {"--hidden", "8"},
      {"--heads", "2"},
      {"--max-length", "16"},
      {"--corpus", "${D}text.txt"},
      {"--steps", "2"},
      {"--batch-size", "4"},
      {"--threads", "1"},
      {"--output", "${D}out"},
  };
  std::string command = "$CLOZE pretrain " + more;
  for (const auto& [option, value] : own)
    if ((more + " " + without + " ").find(std::string(option) + " ") == std::string::npos)
      command += fmt::format(" {} {}", option, value);
  return command;
}

/// The same from the model $M.
std::string onward(const std::string& more) {
  return pretrain("--model $M " + more, "--vocab --layers --hidden --heads");
}

std::string some_documents() {
  std::string text;
  for (int i = 0; i < 12; ++i) text += "good x y good x\nbad z bad z y\n\n";
  return text;
}

class HostilePretrain : public testing::TestWithParam<Wrong> {
 protected:
  void SetUp() override { place.write("text.txt", some_documents()); }
  HostilePlace place;
};

TEST_P(HostilePretrain, IsToldAndLeavesNothing) {
  const auto before = place.files();
  const Outcome outcome = place.run(GetParam().command);
  expect_outcome(place, outcome, GetParam().exit_code, GetParam().words);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), outcome.err.find("\nSee: ") == std::string::npos ? 1 : 2)
      << outcome.err;
  // A text that was tokenized before the fault showed keeps its whole cache.
  for (const std::string& name : place.files())
    EXPECT_TRUE(!name.starts_with("out/") || name.starts_with("out/cache")) << name;
  EXPECT_GE(place.files().size(), before.size()) << "nor is anything taken away";
}

const Wrong kCorpora[] = {
    {"Empty", ": >${D}e.txt; " + pretrain("--corpus ${D}e.txt"), {"%e.txt: there is no text in it"}, 1},
    {"Blank", "printf '\\n \\n\\t\\n' >${D}e.txt; " + pretrain("--corpus ${D}e.txt"), {"there is no text in it"}, 1},
    {"OneDocument",
     "printf 'good x\\nbad y\\n' >${D}e.txt; " + pretrain("--corpus ${D}e.txt"),
     {"%e.txt is one document", "--documents line", "--objective mlm"},
     1},
    {"OneToken", "printf 'x\\n\\ny\\n' >${D}e.txt; " + pretrain("--corpus ${D}e.txt"), {"too short for a row"}, 1},
    {"Nul", "printf 'good\\n\\0x\\n' >${D}e.txt; " + pretrain("--corpus ${D}e.txt"), {"%e.txt line 2: a NUL byte"}, 1},
    {"Image",
     "printf '\\211PNG\\r\\n\\032\\n\\0\\0\\0\\rIHDR' >${D}e.png; " + pretrain("--corpus ${D}e.png"),
     {"%e.png line 3: a NUL byte; a corpus is text in UTF-8"},
     1},
    {"AnotherEncoding",
     "for i in 1 2 3 4 5 6 7 8 9; do printf "
     "'\\304\\343\\272\\303\\304\\343\\272\\303\\304\\343\\272\\303\\304\\343\\272"
     "\\303\\304\\343\\272\\303\\304\\343\\272\\303\\304\\343\\272\\303\\304\\343\\272\\303\\304\\343\\272\\303\\n'; "
     "done "
     ">${D}e.txt; " +
         pretrain("--corpus ${D}e.txt"),
     {"are not UTF-8", "iconv"},
     1},
    {"Folder", pretrain("--corpus ${D}m"), {"%m", "folder"}, 1},
    {"Missing", pretrain("--corpus ${D}txt.txt"), {"cannot open %txt.txt", "did you mean", "/text.txt?"}, 1},
    {"SecondMissing",
     pretrain("--corpus ${D}text.txt ${D}gone.txt --cache-dir ${D}tokens"),
     {"cannot open %gone.txt"},
     1},
    {"NotPacked", "cp ${D}text.txt ${D}t.gz; " + pretrain("--corpus ${D}t.gz"), {"%t.gz is not a gzip file"}, 1},
    {"Stdin", pretrain("--corpus -"), {"a corpus must be a file"}},
    {"AllUnknown",
     "printf '你好\\n\\n世界\\n' >${D}e.txt; " + pretrain("--corpus ${D}e.txt"),
     {"%e.txt", "the vocabulary"},
     1},
    {"None", pretrain("", "--corpus"), {"--corpus is required"}},
};

const Wrong kModels[] = {
    {"NoMask",
     "grep -v MASK $M/vocab.txt >${D}v.txt; " + pretrain("--vocab ${D}v.txt --corpus ${D}text.txt"),
     {"[MASK]"},
     1},
    {"NoStart",
     "grep -v CLS $M/vocab.txt >${D}v.txt; " + pretrain("--vocab ${D}v.txt --corpus ${D}text.txt"),
     {"has no start token \"[CLS]\""},
     1},
    {"SpecialTokensAlone",
     "head -5 $M/vocab.txt >${D}v.txt; " + pretrain("--vocab ${D}v.txt --corpus ${D}text.txt"),
     {"the vocabulary has nothing but special tokens"},
     1},
    {"VocabularyMissing",
     pretrain("--vocab $M/vocab.tx --corpus ${D}text.txt"),
     {"cannot open %m/vocab.tx", "did you mean"},
     1},
    {"VocabularyLargerThanModel",
     "echo more >>$M/vocab.txt; " + onward(""),
     {"the tokenizer has 11 tokens", "\"vocab_size\" is 10"},
     1},
    {"LongerThanPositions", onward("--max-length 33"), {"--max-length 33 is more than the model's 32 positions"}},
    {"LongerThanScratch", pretrain("--max-length 1000"), {"--max-length 1000 is more than the model's 512 positions"}},
    {"TooShort", pretrain("--max-length 7"), {"--max-length of pretraining must be at least 8, got 7"}},
    {"ModelAndVocab", onward("--vocab $M"), {"--model brings its own vocabulary"}},
    {"NeitherModelNorVocab", pretrain("", "--vocab"), {"where to start from?", "--model", "--vocab"}},
    {"SizeOfAModel", onward("--size base"), {"--size", "go without --model only"}},
    {"CasedModel", onward("--cased"), {"--cased go without --model only"}},
    {"ModelMissing", "mv $M/model.safetensors $M/old; " + onward(""), {"model.safetensors"}, 1},
    {"TooLargeForTheMachine", pretrain("--hidden 1000000 --heads 2"), {"layers of width 1000000 need"}},
};

const Wrong kOptions[] = {
    {"Typo", pretrain("--objectiv mlm"), {"unknown option --objectiv, did you mean --objective?"}},
    {"Objective", pretrain("--objective mlm,nps"), {"--objective must be", "did you mean mlm,nsp?"}},
    {"Documents", pretrain("--documents lines"), {"--documents must be", "did you mean line?"}},
    {"MaskWords", pretrain("--mask-words peices"), {"--mask-words must be whole or pieces", "did you mean pieces?"}},
    {"WeightsType", pretrain("--weights-type f23"), {"must be f16 or f32, got \"f23\", did you mean f32?"}},
    {"Start", pretrain("--start count"), {"must be counts or random", "did you mean counts?"}},
    {"WeightsCount", pretrain("--weights 1 2"), {"--weights needs one number for each --corpus: there are 2 and 1"}},
    {"WeightsZero", pretrain("--weights 0"), {"--weights must be above 0", "got 0"}},
    {"WeightsNegative", pretrain("--weights -1"), {"--weights must be above 0", "got -1"}},
    {"WeightsNan", pretrain("--weights nan"), {"--weights must be above 0", "got nan"}},
    {"WeightsHuge", pretrain("--weights 1e300"), {"--weights must be above 0 and at most"}},
    {"WeightsWord", pretrain("--weights two"), {"--weights", "two"}},
    {"Heldout", pretrain("--heldout 0.9"), {"--heldout must be 0 to 0.5, got 0.9"}},
    {"ShortRate", pretrain("--short-rate 2"), {"--short-rate must be 0 to 1, got 2"}},
    {"MaskRate", pretrain("--mask-rate 0"), {"share of masked tokens must be above 0 and below 1, got 0"}},
    {"MaskShares", pretrain("--mask-share 0.8 --random-share 0.3"), {"0 to 1 together, got 0.8 and 0.3"}},
    {"EvaluationRows", pretrain("--evaluation-rows 0"), {"--evaluation-rows must be at least 1"}},
    {"Dropout", pretrain("--dropout 1"), {"--dropout must be 0 or more and below 1"}},
    {"DropoutNegative", pretrain("--dropout -0.5"), {"--dropout must be 0 or more and below 1, or -1"}},
    {"PatienceWithoutRows", pretrain("--heldout 0 --patience 2"), {"--patience needs held-out rows"}},
    {"Batching", pretrain("--batching by-length"), {"--batching of pretraining is shuffled"}},
    {"StepsAndBudget", pretrain("--time-budget 1h"), {"--steps and --time-budget exclude each other"}},
    {"StepsNegative", pretrain("--steps -1"), {"--steps must not be negative"}},
    {"BudgetWithoutUnit", pretrain("--steps 0 --time-budget 90"), {"a time such as 45s, 90m, 2h or 1h30m, got \"90\""}},
    {"BudgetZero", pretrain("--steps 0 --time-budget 0s"), {"--time-budget must be a time"}},
    {"AdamBeta2", pretrain("--adam-beta2 1"), {"--adam-beta2 must be in [0, 1), got 1"}},
    {"AdamEpsilon", pretrain("--adam-epsilon 0"), {"--adam-epsilon must be in (0, 1), got 0"}},
    {"Int8", pretrain("--precision int8"), {"int8 is for trained models"}},
    {"ShowBatchNegative", pretrain("--show-batch -1"), {"--show-batch must not be negative"}},
    {"ResumeAndOverwrite", pretrain("--resume --overwrite"), {"exclude each other"}},
    {"NoOutput",
     pretrain("--cache-dir ${D}tokens", "--output"),
     {"--output is needed: the folder for the trained model"}},
    {"CacheDirIsAFile", pretrain("--cache-dir ${D}text.txt"), {"%text.txt"}, 1},
    {"CacheDirNotWritable", pretrain("--cache-dir /proc/cloze"), {"cannot create the folder /proc/cloze"}, 1},
};

std::string name_of_wrong(const testing::TestParamInfo<Wrong>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Corpus, HostilePretrain, testing::ValuesIn(kCorpora), name_of_wrong);
INSTANTIATE_TEST_SUITE_P(Model, HostilePretrain, testing::ValuesIn(kModels), name_of_wrong);
INSTANTIATE_TEST_SUITE_P(Option, HostilePretrain, testing::ValuesIn(kOptions), name_of_wrong);

class HostilePlaces : public HostilePretrain {};

TEST_F(HostilePlaces, OutputThatIsTaken) {
  expect_outcome(place, place.run(pretrain("--output $M")), 2, {"--output %m already holds model.safetensors"});
  EXPECT_EQ(read_file(place / "m" / "model.safetensors"), TinyModel::get().weights);
  EXPECT_FALSE(std::filesystem::exists(place / "m" / "cache"));
  expect_outcome(place, place.run(pretrain("--output ${D}text.txt")), 2, {"a file of that name stands there"});
  EXPECT_EQ(read_file(place / "text.txt"), some_documents());
  make_folder(place / "mine");
  place.write("e.txt", "");
  expect_outcome(place, place.run(pretrain("--corpus ${D}e.txt --output ${D}mine")), 1, {"no text"});
  EXPECT_TRUE(std::filesystem::exists(place / "mine")) << "a folder that was there stays";
  EXPECT_FALSE(std::filesystem::exists(place / "mine" / "cache"));
}

TEST_F(HostilePlaces, FullDisks) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += some_documents();
  place.write("long.txt", text);
  const std::string run = "--corpus ${D}long.txt --objective mlm ";
  {
    SmallDisk disk(place / "disk", 64);
    if (!disk.why.empty()) GTEST_SKIP() << "no mount permitted here: " << disk.why;
    const Outcome tokens = place.run(pretrain(run + "--cache-dir ${D}disk/tokens"));
    expect_outcome(place, tokens, 1, {"cannot write %disk/tokens/long.txt-", "No space left on device"});
    EXPECT_TRUE(std::filesystem::is_empty(place / "disk"));
  }
  for (const int64_t kilobytes : {4, 12, 20, 28, 36}) {
    SmallDisk disk(place / "disk", kilobytes);
    const Outcome model = place.run(pretrain("--cache-dir ${D}tokens --output ${D}disk/out"));
    if (model.exit_code == 0) continue;
    expect_outcome(place, model, 1, {"cannot write %disk/out/", "No space left on device"});
    for (const auto& entry : std::filesystem::directory_iterator(place / "disk" / "out")) {
      const std::string name = entry.path().filename().string();
      if (!name.ends_with(".json")) continue;
      EXPECT_NO_THROW(parse_json(read_file(entry.path()), name)) << name;
    }
  }
  const Outcome small = place.run("ulimit -f 8; " + pretrain(run));
  expect_outcome(place, small, 1, {"cannot write %out/cache/long.txt-", "File too large"});
  EXPECT_FALSE(std::filesystem::exists(place / "out"));
}

TEST_F(HostilePlaces, CachesStandInForACorpusThatIsGone) {
  const std::string cache = "--cache-dir ${D}tokens ";
  expect_outcome(place, place.run(pretrain(cache)), 0, {"12 documents"});
  std::filesystem::remove(place / "text.txt");
  expect_outcome(place, place.run(pretrain(cache + "--overwrite")), 0, {"(from its cache)"});
  expect_outcome(place, place.run(pretrain(cache + "--resume")), 0, {"was finished already"});
  place.write("other/vocab.txt", TinyModel::get().vocab + "w\n");
  const std::string other = pretrain("--vocab ${D}other --corpus ${D}text.txt --overwrite " + cache);
  expect_outcome(place, place.run(other), 1,
                 {"%text.txt is not there", "cannot stand in for it", "it was made with another vocabulary"});
  expect_outcome(place, place.run(pretrain(cache + "--overwrite")), 0, {"(from its cache)"});
  for (const auto& entry : std::filesystem::directory_iterator(place / "tokens"))
    std::filesystem::resize_file(entry.path(), 40);
  expect_outcome(place, place.run(pretrain(cache + "--overwrite")), 1, {"cannot stand in for it", "it is too short"});
}

TEST_F(HostilePlaces, ResumeRefusesOtherTextAndOptions) {
  expect_outcome(place, place.run(pretrain("")), 0, {});
  expect_outcome(place, place.run(pretrain("--mask-rate 0.3 --resume")), 2, {"mask_rate: was 0.15, is now 0.3"});
  place.write("text.txt", some_documents() + "good bad good\n");
  expect_outcome(place, place.run(pretrain("--resume")), 2, {"another configuration", "inputs"});
}

TEST_F(HostilePlaces, NamesAsLongAsTheSystemAllows) {
  const std::string name(250, 'a');
  ASSERT_EQ(place.run("cp ${D}text.txt ${D}" + name).exit_code, 0);
  expect_outcome(place, place.run(pretrain("--corpus ${D}" + name)), 0, {"12 documents"});
}

}  // namespace
}  // namespace cloze::test
