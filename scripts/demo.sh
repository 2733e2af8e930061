#!/usr/bin/env bash
# From nothing to predictions: installs, builds, lets the shipped checkpoint fill masks, fine-tunes it on English and on
# Chinese reviews beside the same model from random weights, evaluates both on reviews that neither saw, and lets the
# first answer new ones. Once built, about two minutes on two cores.
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

model=models/cloze-mini-en-zh

echo
echo "== the shipped checkpoint: what stands at [MASK]?"
printf '%s\n' "The movie was [MASK] and I loved it." "这个酒店的服[MASK]很好。" | tee "$work/masks" |
  "$cloze" predict --task fill-mask --model "$model" --top-k 3 >"$work/filled"
paste -d '\n' "$work/masks" "$work/filled"

accuracy() { sed -E 's/.*"accuracy": ([0-9.]+).*/\1/' "$1"; }
summary=()
demo() {  # demo NAME LANGUAGE-FILE-SUFFIX TEXT...
  local name=$1 language=$2 train="samples/reviews_$2.train.tsv" test="samples/reviews_$2.test.tsv"
  local tune=(finetune --task text-classification --train "$train" --epochs 8 --batch-size 16 --learning-rate 3e-4)
  shift 2
  echo
  echo "== $name: fine-tuning the checkpoint on 400 labelled reviews"
  "$cloze" "${tune[@]}" --model "$model" --output "$work/$language"
  echo
  echo "== $name: the same model from random weights, the same rows and options"
  "$cloze" "${tune[@]}" --from-scratch --vocab "$model" --layers 4 --hidden 256 --output "$work/$language-scratch"
  echo
  echo "== $name: evaluating on 100 reviews that neither has seen"
  "$cloze" evaluate --model "$work/$language-scratch" --data "$test" >"$work/$language-scratch.json" 2>/dev/null
  "$cloze" evaluate --model "$work/$language" --data "$test" | tee "$work/$language.json"
  echo
  echo "== $name: predicting"
  printf '%s\n' "$@" | tee "$work/texts" | "$cloze" predict --model "$work/$language" >"$work/answers"
  paste -d '\n' "$work/texts" "$work/answers"
  summary+=("$name: $(accuracy "$work/$language.json") accuracy from the checkpoint, $(accuracy "$work/$language-scratch.json") from random weights")
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
echo "== done: accuracy on 100 unseen reviews"
printf '   %s\n' "${summary[@]}"
echo "   Next: cloze finetune --help, README.md, docs/cli.md. The program is $cloze"
