#!/usr/bin/env bash
# From nothing to predictions: installs, builds, fine-tunes a small model on English and on Chinese reviews, evaluates
# it on reviews it never saw, and lets it answer new ones. Once built, a minute or two on two cores.
# Usage: scripts/demo.sh
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
cloze=build/release/bin/cloze
echo "== building (the first time takes a few minutes)"
cmake --preset release >/dev/null
cmake --build --preset release --target cloze >build/release/build.log 2>&1 || { tail -n 40 build/release/build.log; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

summary=()
demo() {  # demo NAME LANGUAGE-FILE-SUFFIX TEXT...
  local name=$1 language=$2
  shift 2
  echo
  echo "== $name: fine-tuning on 400 labelled reviews"
  echo "   No pretrained checkpoint ships yet: this model starts from random weights and knows nothing but these"
  echo "   400 reviews. With a pretrained model (--model DIR instead of --from-scratch) far more is to be expected."
  "$cloze" finetune --task text-classification --from-scratch --vocab "samples/vocab_$language.txt" --layers 2 --hidden 128 \
    --train "samples/reviews_$language.train.tsv" --epochs 10 --batch-size 16 --learning-rate 1e-3 --output "$work/$language"
  echo
  echo "== $name: evaluating on 100 reviews that it has not seen"
  "$cloze" evaluate --model "$work/$language" --data "samples/reviews_$language.test.tsv" | tee "$work/$language.json"
  echo
  echo "== $name: predicting"
  printf '%s\n' "$@" | tee "$work/texts" | "$cloze" predict --model "$work/$language" >"$work/answers"
  paste -d '\n' "$work/texts" "$work/answers"
  summary+=("$name: $(sed -E 's/.*"accuracy": ([0-9.]+).*/\1/' "$work/$language.json") accuracy on 100 unseen reviews")
}

demo English en \
  "Great food and friendly staff, we loved it." \
  "Complete waste of money. It broke after two days and nobody answered my emails." \
  "The staff were lovely and the breakfast was delicious."
demo Chinese zh \
  "服务很热情，房间干净，下次还住这里。" \
  "质量太差了，用了两天就坏，客服也不理人。" \
  "比想象中好，推荐购买。"

echo
echo "== done"
printf '   %s\n' "${summary[@]}"
echo "   Next: cloze finetune --help, README.md, docs/cli.md. The program is $cloze"
