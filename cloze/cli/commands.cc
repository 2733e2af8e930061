#include "cloze/cli/command.h"

namespace cloze::cli {
namespace {

constexpr Command kCommands[] = {
    {"pretrain", "train a model on text without labels: masked words and next sentence", setup_pretrain},
    {"finetune", "train a model for a task on a labelled file", setup_finetune},
    {"evaluate", "metrics of a trained model on a labelled file", setup_evaluate},
    {"predict", "answer rows with a trained model, one JSON object a row", setup_predict},
    {"compare-transfer", "measure the ways to use one encoder for a task, side by side", setup_compare_transfer},
    {"ensemble", "join trained classifiers into one: the mean of their answers, or a stack", setup_ensemble},
    {"prune", "take heads, neurons, layers and pieces out of a model: smaller and faster", setup_prune},
    {"quantize", "store weights in 8 bits or as half-width floats: smaller, and faster in 8 bits", setup_quantize},
    {"compress", "prune, train again and quantize towards a goal of speed, and report what was tried", setup_compress},
    {"compare", "models side by side: size, memory, start, latency, throughput, accuracy", setup_compare},
    {"distill", "train a smaller student to answer as a trained teacher does", setup_distill},
    {"convert", "write a pruned model as an ordinary one", setup_convert},
    {"embed", "vectors of texts, tokens or words; attention", setup_embed},
    {"inspect", "who attends to whom: a table of each head's habits, or a page that draws it", setup_inspect},
    {"tokenize", "text to token ids, one JSON object a line", setup_tokenize},
    {"vocab", "train a WordPiece vocabulary, measure one on a text, add words to a model's", setup_vocab},
    {"info", "what a model directory holds", setup_info},
    {"bench", "time inference, training, tokenization or the start", setup_bench},
};

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

}  // namespace cloze::cli
