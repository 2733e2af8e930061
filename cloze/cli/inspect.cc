#include "cloze/base/utf8.h"
#include "cloze/cli/command.h"
#include "cloze/cli/options.h"
#include "cloze/cli/output.h"
#include "cloze/model/checkpoint.h"
#include "cloze/transfer/attention_page.h"

namespace cloze::cli {
namespace {

/// Tokens: what a page shows well, and what a browser bears.
constexpr int64_t kUsual = 128, kMostTokens = 512;

struct InspectArguments {
  std::string model, text, html;
  std::optional<std::string> text_pair;
  int64_t max_length = 0;
  ThreadsOption threads;
};

void run_inspect(const InspectArguments& o) {
  o.threads.apply();
  CLOZE_CHECK(o.max_length <= kMostTokens, ErrorCode::kUsage, "--max-length must be at most {}, got {}", kMostTokens,
              o.max_length);
  CLOZE_CHECK(find_invalid_utf8(o.text) == std::string::npos &&
                  (!o.text_pair || find_invalid_utf8(*o.text_pair) == std::string::npos),
              ErrorCode::kUsage, "--text and --text-pair must be UTF-8");
  TextExample row;
  row.text = o.text;
  row.text_pair = o.text_pair;
  const ModelFiles files = ModelFiles::open(o.model);
  const int64_t most = o.max_length != 0 ? o.max_length : std::min(kUsual, load_config(files).max_position_embeddings);
  const auto encoder = load_frozen_encoder(files, {Pooling()}, {.max_length = most, .long_texts = "truncate"});
  const EncodedRows encoded = encode_rows(encoder->tokenizer, {&row, 1}, encoder->limits);
  const std::vector<AttentionMaps> maps = attention_maps(*encoder, row);
  if (const std::string note = encoded.counts().text(encoder->limits); !note.empty()) say("note: " + note);
  if (o.html.empty()) {
    write_out(habits_table(maps[0]));
    return flush_out();
  }
  int64_t heads = 0;
  for (const Tensor& layer : maps[0].layers) heads += layer.shape()[0];
  CLOZE_CHECK(heads > 0, ErrorCode::kValue, "{} has no heads: there is no attention to draw", o.model);
  write_file(o.html, attention_page(maps[0], fmt::format("Attention of {}", Path(o.model).filename().string())));
  say(fmt::format("{} tokens, {} layers, {} heads in all: open {} in a browser", maps[0].tokens.size(),
                  maps[0].layers.size(), heads, o.html));
}

}  // namespace

std::function<void()> setup_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--text", options->text, "what the model reads")->required();
  app.add_option("--text-pair", options->text_pair, "a second text");
  app.add_option("--html", options->html,
                 "draw attention on one page in this file; default: a table of each head's habits");
  app.add_option("--max-length", options->max_length, "tokens; what is longer is cut. 0: 128, or what the model takes")
      ->capture_default_str();
  options->threads.add(app);
  return [options] { run_inspect(*options); };
}

}  // namespace cloze::cli
