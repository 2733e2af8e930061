// Rows and a model that was tuned on them, for commands that take a trained one.
#pragma once

#include <string>

namespace cloze::test {

/// Shell for HostilePlace: ${D}t.tsv and ${D}tuned.
inline const std::string kTunedModel =
    "printf 'label\\ttext\\nup\\tgood x\\ndown\\tbad x\\nup\\tgood\\ndown\\tbad y\\n' > ${D}t.tsv; "
    "$CLOZE finetune --task text-classification --model $M --train ${D}t.tsv --epochs 20 --learning-rate 1e-3 --output "
    "${D}tuned || exit 9; ";

}  // namespace cloze::test
