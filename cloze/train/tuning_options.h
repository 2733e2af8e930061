// How a pretrained model is fine-tuned: which of its parameters are trained, and how carefully. Each field is listed
// once (see base/fields.h).
#pragma once

#include <cstdint>
#include <string>

namespace cloze {

/// A resumed run must have the same. The defaults are plain training of everything.
struct TuningOptions {
  std::string tune = "full";
  double layer_decay = 1;
  int64_t reinit_layers = 0;
  double ema = 0;
  double fgm = 0;
  int64_t unfreeze_steps = 0;
  double start_decay = 0;
  bool keep_zeros = false;
  int64_t lora_rank = 8;
  double lora_alpha = 16;
  std::string lora_targets = "query,value";

  template <class Visitor>
  void visit(Visitor& visitor) {
    visitor("tune", tune,
            "what is trained: full, head (pooler, classifier), top=K (and K layers), bitfit (and biases), lora");
    visitor("layer_decay", layer_decay,
            "learning rate of each layer, as a share of the next higher one's; 1: all alike");
    visitor("reinit_layers", reinit_layers, "so many of the highest layers and the pooler start from random weights");
    visitor("ema", ema,
            "evaluate and keep an average of the weights that decays by this each step, e.g. 0.999; 0: none");
    visitor("fgm", fgm,
            "train also on embeddings that are moved against the answer by this share of their length, e.g. 0.003; 0: not");
    visitor("unfreeze_steps", unfreeze_steps,
            "begin with pooler and classifier, and add a layer from above every so many steps; 0: all at once");
    visitor("start_decay", start_decay,
            "weight decay of the encoder towards its pretrained weights, instead of --weight-decay; 0: not");
    visitor("keep_zeros", keep_zeros, "zeros in the products of the encoder's layers stay zeros: of a sparse model");
    visitor("lora_rank", lora_rank, "with --tune lora: rank of what is added to a weight");
    visitor("lora_alpha", lora_alpha, "with --tune lora: what is added is scaled by this / rank");
    visitor("lora_targets", lora_targets,
            "with --tune lora: which weights: query, key, value, attention_output, up, down, or all");
  }
  /// Errors: kUsage for a value that cannot be, or that another one excludes.
  void check() const;
};

}  // namespace cloze
