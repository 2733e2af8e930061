#include "cloze/task/fill_mask.h"
#include "cloze/task/next_sentence.h"
#include "cloze/task/task.h"
#include "cloze/task/text_classification.h"

namespace cloze {
namespace {

constexpr TaskEntry kTasks[] = {
    {"text-classification", "BertForSequenceClassification", "one text or a pair, one label of several",
     train_text_classification, load_text_classification},
    {"fill-mask", "BertForMaskedLM", "one text or a pair, the words that stand behind its masks", nullptr,
     load_fill_mask, "BertForPreTraining"},
    {"next-sentence-prediction", "BertForNextSentencePrediction", "a pair, does the second text follow the first",
     nullptr, load_next_sentence_prediction, "BertForPreTraining"},
};

}  // namespace

std::span<const TaskEntry> tasks() {
  return kTasks;
}

}  // namespace cloze
