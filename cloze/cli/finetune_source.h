// The options of `cloze finetune` that say where model and rows come from.
#pragma once

#include "cloze/cli/options.h"
#include "cloze/task/task.h"

namespace cloze::cli {

/// What the run is about; the fields go into run.json, and a resumed run must have the same.
struct Source {
  std::string task, model, train, dev, vocab, size, long_texts, class_weights, teacher, unlabelled;
  bool from_scratch = false, cased = false;
  int64_t keep_layers = 0, layers = 0, hidden = 0, heads = 0, max_length = 0, stride = -1;
  double dropout = -1, label_smoothing = 0, r_drop = 0, teacher_weight = 0.5, temperature = 2, hidden_weight = 0,
         relation_weight = 0;

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("task", task, "what to train for, e.g. text-classification");
    visitor("train", train, "labelled rows to learn from");
    visitor("dev", dev, "labelled rows to choose the best weights by");
    visitor("model", model, "model directory to start from");
    visitor("from_scratch", from_scratch, "start from random weights instead of a model");
    visitor("vocab", vocab, "with --from-scratch: vocab.txt, or a model directory whose tokenizer to take");
    visitor("cased", cased, "with --from-scratch and a vocab.txt: keep upper case and accents");
    visitor("size", size, "with --from-scratch: tiny, mini, small, medium, base or large");
    visitor("layers", layers, "with --from-scratch: encoder layers, instead of the size's");
    visitor("hidden", hidden, "with --from-scratch: hidden width, instead of the size's");
    visitor("heads", heads, "with --from-scratch: attention heads, instead of hidden / 64");
    visitor("max_length", max_length, "tokens a row; 0: as trained, or what the model takes");
    visitor("long", long_texts,
            "longer rows: truncate, head-tail (cut the middle), window (split, average); default: as trained, else "
            "truncate");
    visitor("stride", stride,
            "with --long window: tokens that neighbouring windows share; -1: as trained, or a quarter of them");
    visitor("dropout", dropout, "replaces the model's dropout; -1: keep it");
    visitor("label_smoothing", label_smoothing, "share of the target that is spread over all classes");
    visitor(
        "r_drop", r_drop,
        "rows go through twice, and so much of the distance of the two answers is added to the loss, e.g. 1; 0: not");
    visitor("teacher", teacher,
            "a trained model directory (an ensemble too) whose answers to the training rows are learned beside their "
            "labels, e.g. the model that this one was pruned from");
    visitor("teacher_weight", teacher_weight, "with --teacher: its share of the loss; 1: labels do not count");
    visitor("temperature", temperature, "with --teacher: both answers are softened by it");
    visitor("unlabelled", unlabelled, "with --teacher: texts without labels, of which its answers are learned too");
    visitor("hidden_weight", hidden_weight,
            "with --teacher: weight of the square gap of hidden states, projected where widths differ; e.g. 1");
    visitor("relation_weight", relation_weight,
            "with --teacher: weight of the divergence of attention relations in the last layer (MiniLMv2); e.g. 1");
    visitor("keep_layers", keep_layers,
            "with --model: start from so many of its layers, evenly spread, the last one among them; 0: all");
    visitor("class_weights", class_weights, "balanced, or LABEL=WEIGHT,…: how much each class counts in the loss");
  }
};

/// Checks the options against each other. Errors: kUsage.
TrainingSource resolve(const Source& source, const TableFlags& table, int64_t seed);

/// Of training: has `source` learn from `teacher`, a model directory; nothing where that is empty. Errors: those of
/// loading it; kUnsupported for a teacher that reads more columns than texts.
void add_teacher(const std::string& teacher, TrainingSource& source);

}  // namespace cloze::cli
