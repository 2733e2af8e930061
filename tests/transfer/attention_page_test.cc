// Attention as a table and as a page.
#include "cloze/transfer/attention_page.h"

#include <gmock/gmock.h>

#include "cloze/base/html.h"

namespace cloze {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// One layer of two heads over three tokens: the first looks back (and the first token at itself), the second at all.
AttentionMaps small_maps() {
  AttentionMaps maps;
  maps.tokens = {"[CLS]", "</script><b>", "[SEP]"};
  maps.segments = {0, 0, 0};
  const float third = 1.0F / 3;
  maps.layers = {Tensor::of<float>({2, 3, 3}, {1, 0, 0, 1, 0, 0, 0, 1, 0,  //
                                               third, third, third, third, third, third, third, third, third})};
  return maps;
}

TEST(HeadHabits, SharesAndEntropy) {
  const HeadHabits back = habits_of(small_maps(), 0, 0), all = habits_of(small_maps(), 0, 1);
  EXPECT_NEAR(back.itself, 1.0 / 3, 1e-9);
  EXPECT_EQ(back.previous, 1);
  EXPECT_EQ(back.next, 0);
  EXPECT_NEAR(back.first, 2.0 / 3, 1e-9);
  EXPECT_EQ(back.separators, 0);
  EXPECT_EQ(back.entropy, 0);
  EXPECT_NEAR(all.separators, 1.0 / 3, 1e-6);
  EXPECT_NEAR(all.entropy, std::log2(3.0), 1e-6);
  EXPECT_THAT(habits_table(small_maps()),
              HasSubstr("    0    1    0.333    0.333    0.333    0.333    0.333     1.58\n"));
}

TEST(AttentionPage, StandsAloneAndEscapesWhatComesFromOutside) {
  const std::string page = attention_page(small_maps(), "a <model>");
  EXPECT_THAT(page, HasSubstr("<title>a &lt;model&gt;</title>"));
  EXPECT_THAT(page, Not(HasSubstr("</script><b>")));
  EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003cb>") /* as JSON */);
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, Not(HasSubstr("https:")));
  // 1, 0, 0 and a third (1365 of 4095 = 21 * 64 + 21) as two digits each.
  EXPECT_THAT(page, HasSubstr("\"__AAAA__AAAAAA__AAVVVVVVVVVVVVVVVVVV\""));
}

TEST(EscapeHtml, AllFive) {
  EXPECT_EQ(escape_html("<a href='x'>\"&\""), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;");
}

}  // namespace
}  // namespace cloze
