#include "cloze/base/atomic_folder.h"
#include "cloze/cli/command.h"
#include "cloze/cli/output.h"
#include "cloze/compress/write_model.h"

namespace cloze::cli {
namespace {

struct ConvertArguments {
  std::string model, output;
  bool dense = false;
};

void run_convert(const ConvertArguments& o) {
  CLOZE_CHECK(o.dense, ErrorCode::kUsage, "to what? Give --dense: zeros where a pruned model has nothing");
  CLOZE_CHECK(!std::filesystem::exists(o.output), ErrorCode::kUsage,
              "--output {} is there already; give a new folder, or remove it", o.output);
  refuse_inside(o.model, o.output);
  AtomicFolder folder(o.output);
  write_dense(o.model, folder.path());
  folder.commit();
  say(fmt::format("done: an ordinary model that computes the same is in {}", o.output));
}

}  // namespace

std::function<void()> setup_convert(CLI::App& app) {
  auto options = std::make_shared<ConvertArguments>();
  app.add_option("--model", options->model, "model directory")->required();
  app.add_option("--output", options->output, "new model directory")->required();
  app.add_flag("--dense", options->dense,
               "zeros where heads and neurons were taken out: a pruned model as Hugging Face's classes read it");
  return [options] { run_convert(*options); };
}

}  // namespace cloze::cli
