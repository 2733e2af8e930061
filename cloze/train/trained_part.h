// Which of a model's parameters a run trains: the others are constants, for which the tape records nothing and the
// optimizer keeps nothing. Names are Hugging Face's, so that it holds for every task.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cloze/nn/parameter.h"

namespace cloze {

struct TrainedPart {
  enum class Kind : uint8_t {
    kFull,
    kHead,    ///< the pooler and all that is not the encoder's
    kTop,     ///< the same and the highest layers
    kBitfit,  ///< the head, and of the encoder what is named "….bias" (Ben Zaken et al., "BitFit", 2022)
    kLora,    ///< the head, and adapters beside the encoder's weights (Hu et al., "LoRA", 2021)
  };
  Kind kind = Kind::kFull;
  int64_t layers = 0;  ///< of kTop
};

/// "full", "head", "top=K", "bitfit" or "lora". Errors: kUsage, with what there is.
TrainedPart parse_trained_part(const std::string& text);

/// A parameter's height: 0 for embeddings, 1 to L for the encoder's layers from below, L + 1 for pooler and head.
int64_t height_of(const std::string& name, int64_t layers);
/// How many encoder layers there are.
int64_t count_layers(const ParameterList& parameters);

/// Freezes all that is not to be trained, and nothing else. Errors: kUsage where the model has not so many layers.
void choose_trained(const ParameterList& parameters, const TrainedPart& part);

/// What the learning rate is multiplied by for each of `trained`, parameters of a model of `layers` layers: decay to
/// the power of how far each lies below pooler and head (Sun et al., "How to fine-tune BERT for text classification",
/// 2019; Clark et al., "ELECTRA", 2020).
std::vector<double> layer_rates(const ParameterList& trained, int64_t layers, double decay);

/// After how many steps each of `trained` is unfrozen where every `every` steps a further layer is, from above: 0 for
/// pooler and head, `every` for the highest layer (Howard and Ruder, "Universal language model fine-tuning", 2018).
std::vector<int64_t> unfreezing_steps(const ParameterList& trained, int64_t layers, int64_t every);

/// "training 66,306 of 7,524,866 parameters (0.9 %)".
std::string describe_trained(const ParameterList& parameters);

}  // namespace cloze
