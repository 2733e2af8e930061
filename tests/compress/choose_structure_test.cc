// What goes first: literal scores and literal tables of times.
#include "cloze/compress/choose_structure.h"

#include <gmock/gmock.h>

#include "cloze/base/error.h"

namespace cloze {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

BertConfig two_layers() {
  BertConfig config;
  config.num_hidden_layers = 2;
  config.hidden_size = 4;
  config.num_attention_heads = 2;
  config.intermediate_size = 4;
  return config;
}

const Importance kImportance = {.heads = {{5, 1}, {3, 2}}, .neurons = {{4, 8, 1, 2}, {9, 3, 7, 6}}};

template <class Work>
std::string refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(KeepShares, TheBestOfAllLayersStay) {
  EXPECT_EQ(keep_shares(kImportance, two_layers(), {}, 1), whole_structure(two_layers()));
  EXPECT_THAT(keep_shares(kImportance, two_layers(), {.heads = 0.5, .ffn = 0.5}, 1),
              ElementsAre(LayerKeep{0, {0}, {1}}, LayerKeep{1, {0}, {0, 2, 3}}));
  EXPECT_THAT(keep_shares(kImportance, two_layers(), {.heads = 0.25, .ffn = 0}, 1),
              ElementsAre(LayerKeep{0, {0}, {}}, LayerKeep{1, {}, {}}));
  EXPECT_THAT(keep_shares(kImportance, two_layers(), {.layers = 0.5}, 1),
              ElementsAre(LayerKeep{0, {0, 1}, {0, 1, 2, 3}}));
  EXPECT_EQ(keep_shares(kImportance, two_layers(), {.layers = 0}, 1).size(), 1U);
}

TEST(KeepShares, NeuronsAreRoundedToTheMultiple) {
  // 1 and 3 neurons would stay: 2 (halves go up) and 4.
  EXPECT_THAT(keep_shares(kImportance, two_layers(), {.ffn = 0.5}, 2),
              ElementsAre(LayerKeep{0, {0, 1}, {0, 1}}, LayerKeep{1, {0, 1}, {0, 1, 2, 3}}));
  EXPECT_EQ(keep_shares(kImportance, two_layers(), {.ffn = 1}, 64), whole_structure(two_layers()));
}

TEST(KeepShares, Parsing) {
  const KeepShares shares = parse_keep("ffn=0.25,layers=1,heads=0");
  EXPECT_EQ(shares.heads, 0);
  EXPECT_EQ(shares.ffn, 0.25);
  EXPECT_EQ(shares.layers, 1);
  EXPECT_EQ(shares.hidden, 1);
  EXPECT_EQ(parse_keep("hidden=0.75").hidden, 0.75);
  for (const char* bad :
       {"", "heads", "heads=", "heads=x", "heads=1.5", "ffn=-0.1", "heads=0.5,", "head=0.5", "ffn=nan"})
    EXPECT_THAT(refusal([&] { parse_keep(bad); }), HasSubstr("--keep")) << bad;
  EXPECT_THAT(refusal([&] { parse_keep("hedas=0.5"); }), HasSubstr("did you mean heads?"));
}

TEST(KeepForSpeed, TakesWhatCostsLeastForTheTimeSaved) {
  // Neurons in steps of 2. A whole layer takes 4 + 4, the rest 1: 17 in all.
  const LatencyTable::Layer layer{{0, 2, 4}, {0, 2, 4}};
  const LatencyTable table{.step = 2, .inner = layer, .last = layer, .rest = 1};
  // Head 1 of layer 0 costs 1 for 2 s; head 1 of layer 1 costs 2; neurons 2 and 3 of layer 0 cost 3.
  EXPECT_THAT(keep_for_speed(kImportance, two_layers(), table, 17.0 / 15),
              ElementsAre(LayerKeep{0, {0}, {0, 1, 2, 3}}, LayerKeep{1, {0, 1}, {0, 1, 2, 3}}));
  EXPECT_THAT(keep_for_speed(kImportance, two_layers(), table, 17.0 / 11),
              ElementsAre(LayerKeep{0, {0}, {0, 1}}, LayerKeep{1, {0}, {0, 1, 2, 3}}));
  EXPECT_THAT(keep_for_speed(kImportance, two_layers(), table, 17),
              ElementsAre(LayerKeep{0, {}, {}}, LayerKeep{1, {}, {}}));
  EXPECT_THAT(refusal([&] { keep_for_speed(kImportance, two_layers(), table, 18); }),
              HasSubstr("17.00 times as fast, which is the most that is possible"));
}

TEST(KeepForSpeed, TheMostThatIsPossible) {
  const LatencyTable::Layer layer{{0, 2, 4}, {0, 2, 4}};
  const LatencyTable table{.step = 2, .inner = layer, .last = layer, .rest = 1};
  EXPECT_EQ(most_speedup(two_layers(), table), 17);
  BertConfig pruned = two_layers();
  pruned.layers = {{1, 3}, {0, 0}};
  EXPECT_EQ(most_speedup(pruned, table), 7) << "3 neurons are two steps";
  pruned.layers = {{0, 0}, {0, 0}};
  EXPECT_EQ(most_speedup(pruned, table), 1);
}

TEST(KeepForSpeed, TheLastLayerMayTakeLess) {
  // The last layer takes next to nothing, so taking from it is no way to speed, however little its parts matter.
  const LatencyTable table{
      .step = 2, .inner = {{0, 2, 4}, {0, 2, 4}}, .last = {{0, 0.1, 0.2}, {0, 0.1, 0.2}}, .rest = 1};
  EXPECT_NEAR(most_speedup(two_layers(), table), 9.4, 1e-12);
  const Structure keep = keep_for_speed(kImportance, two_layers(), table, 9.4 / 1.5);
  EXPECT_THAT(keep, ElementsAre(LayerKeep{0, {}, {}}, LayerKeep{1, {0, 1}, {0, 1, 2, 3}}));
}

TEST(KeepForSpeed, AStepThatSavesNothingIsTakenOnlyOnTheWay) {
  // The first head saves nothing by the clock, the second one much.
  const LatencyTable::Layer layer{{0, 4, 4}, {0, 1}};
  const LatencyTable table{.step = 4, .inner = layer, .last = layer, .rest = 0};
  EXPECT_THAT(keep_for_speed(kImportance, two_layers(), table, 10.0 / 8),
              ElementsAre(LayerKeep{0, {0, 1}, {}}, LayerKeep{1, {0, 1}, {}}));
  EXPECT_THAT(keep_for_speed(kImportance, two_layers(), table, 10.0 / 4),
              ElementsAre(LayerKeep{0, {}, {}}, LayerKeep{1, {0, 1}, {}}));
}

}  // namespace
}  // namespace cloze
