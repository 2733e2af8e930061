// Not a check by itself but a tool for measuring. With CLOZE_DUMP_INPUT and CLOZE_DUMP_MODEL in the environment it
// writes one line of JSON (ids, offsets) for each line of the input to CLOZE_DUMP_OUTPUT, for comparison with the peer;
// if that is the word "bench", it prints processor seconds as megabytes a second instead.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "cloze/base/error.h"
#include "cloze/text/tokenizer.h"

namespace cloze {
namespace {

void bench(const Tokenizer& tokenizer, const std::string& text, const char* name, const auto& count_tokens) {
  for (int round = 0; round < 2; ++round) {  // the first one warms up
    size_t tokens = 0;
    const std::clock_t start = std::clock();
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      tokens += count_tokens(tokenizer, std::string_view(text).substr(at, end - at));
      at = end + 1;
    }
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (round > 0)
      std::printf("%-10s %.1f MB/s, %zu tokens\n", name, static_cast<double>(text.size()) / 1e6 / seconds, tokens);
  }
}

int64_t dump(const Tokenizer& tokenizer, const char* input, std::FILE* file) {
  LineReader lines(input);
  std::vector<int32_t> ids;
  int64_t mismatches = 0;
  while (const auto line = lines.next()) {
    const Encoding encoding = tokenizer.encode(*line);
    ids.clear();
    tokenizer.encode_ids(*line, ids);
    mismatches += ids != encoding.ids;
    std::string out = "{\"ids\":[";
    for (const int32_t id : encoding.ids) (out += std::to_string(id)) += ',';
    out.back() = ']';
    out += ",\"offsets\":[";
    for (const TextSpan& span : encoding.offsets) out += fmt::format("[{},{}],", span.begin, span.end);
    out.back() = ']';
    out += "}\n";
    std::fputs(out.c_str(), file);
  }
  return mismatches;
}

TEST(PeerDump, WritesWhatTheEnvironmentAsksFor) {
  const char *input = std::getenv("CLOZE_DUMP_INPUT"), *model = std::getenv("CLOZE_DUMP_MODEL");
  const char* output = std::getenv("CLOZE_DUMP_OUTPUT");
  if (!input || !model || !output) GTEST_SKIP() << "no CLOZE_DUMP_INPUT, _MODEL, _OUTPUT in the environment";
  const Tokenizer tokenizer = Tokenizer::load(model);
  if (std::string_view(output) == "bench") {
    const std::string text = read_file(input);
    std::vector<int32_t> ids;
    bench(tokenizer, text, "encode_ids", [&](const Tokenizer& t, std::string_view line) {
      ids.clear();
      t.encode_ids(line, ids);
      return ids.size();
    });
    bench(tokenizer, text, "encode",
          [](const Tokenizer& t, std::string_view line) { return t.encode(line).ids.size(); });
    return;
  }
  std::FILE* file = std::fopen(output, "w");
  ASSERT_TRUE(file) << output;
  EXPECT_EQ(dump(tokenizer, input, file), 0) << "lines where encode_ids and encode differ";
  std::fclose(file);
}

}  // namespace
}  // namespace cloze
