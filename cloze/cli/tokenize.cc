#include <optional>

#include "cloze/base/error.h"
#include "cloze/base/json.h"
#include "cloze/cli/command.h"
#include "cloze/cli/output.h"
#include "cloze/text/explain.h"
#include "cloze/text/tokenizer.h"

namespace cloze::cli {
namespace {

struct TokenizeArguments {
  std::string model, input = "-";
  std::optional<std::string> text;
  bool explain = false;
};

/// Writes what is ready of a long line, so that a text of ten megabytes does not stand in memory as JSON as well.
void write_ready(JsonLine& line) {
  constexpr size_t kReadyBytes = 1 << 16;
  if (line.text().size() >= kReadyBytes) write_out(line.take());
}

void write_encoding(const Tokenizer& tokenizer, const Encoding& encoding) {
  JsonLine line;
  line.begin_object().key("ids").begin_array();
  for (const int32_t id : encoding.ids) write_ready(line.value(id));
  line.end_array().key("tokens").begin_array();
  for (const int32_t id : encoding.ids) write_ready(line.value(tokenizer.token(id)));
  line.end_array().key("offsets").begin_array();
  for (const TextSpan& span : encoding.offsets)
    write_ready(line.begin_array().value(span.begin).value(span.end).end_array());
  write_out(line.end_array().end_object().take() + "\n");
}

void run_tokenize(const TokenizeArguments& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.model);
  int64_t replaced = 0;
  const auto show = [&](std::string_view text) {
    if (options.explain) return write_out(without_controls(explain_tokenization(tokenizer, text)));
    const Encoding encoding = tokenizer.encode(text);
    replaced += encoding.counts.replaced_sequences;
    write_encoding(tokenizer, encoding);
  };
  if (options.text) {
    show(*options.text);
  } else {
    LineReader reader{Path(options.input)};
    while (const auto line = reader.next()) {
      show(*line);
      if (!reader.ready()) flush_out();
    }
  }
  flush_out();
  if (replaced > 0) say(fmt::format("note: {} invalid UTF-8 sequences were replaced by U+FFFD", replaced));
}

}  // namespace

std::function<void()> setup_tokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeArguments>();
  app.add_option("--model", options->model, "model directory; only its tokenizer's files are needed")->required();
  app.add_option("--input", options->input, "a text a line; - is stdin")->capture_default_str();
  app.add_option("--text", options->text, "one text instead of a file");
  app.add_flag("--explain", options->explain, "show each step in words instead of JSON");
  return [options] { run_tokenize(*options); };
}

}  // namespace cloze::cli
