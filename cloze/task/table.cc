#include "cloze/task/task.h"
#include "cloze/task/text_classification.h"

namespace cloze {
namespace {

constexpr TaskEntry kTasks[] = {
    {"text-classification", "BertForSequenceClassification", "one text or a pair, one label of several",
     train_text_classification, load_text_classification},
};

}  // namespace

std::span<const TaskEntry> tasks() {
  return kTasks;
}

}  // namespace cloze
