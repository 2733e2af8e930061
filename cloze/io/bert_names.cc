#include "cloze/io/bert_names.h"

namespace cloze {

std::string canonical_bert_name(std::string_view name) {
  constexpr std::string_view kModule = "module.", kGamma = "LayerNorm.gamma", kBeta = "LayerNorm.beta";
  while (name.starts_with(kModule)) name.remove_prefix(kModule.size());
  std::string canonical;
  for (const std::string_view part : {"embeddings.", "encoder.", "pooler."}) {
    if (name.starts_with(part)) canonical = "bert.";
  }
  canonical += name;
  if (name.ends_with(kGamma)) canonical.replace(canonical.size() - 5, 5, "weight");
  if (name.ends_with(kBeta)) canonical.replace(canonical.size() - 4, 4, "bias");
  return canonical;
}

bool is_redundant_bert_name(std::string_view canonical) {
  return canonical.ends_with(".position_ids") || canonical.ends_with(".token_type_ids") ||
         canonical == "cls.predictions.decoder.weight" || canonical == "cls.predictions.decoder.bias";
}

}  // namespace cloze
