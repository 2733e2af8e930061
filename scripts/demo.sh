#!/usr/bin/env bash
# From nothing to predictions: installs, builds, lets the shipped checkpoint fill masks, fine-tunes it on English and on
# Chinese reviews, beside the same model from random weights and a classifier on the frozen checkpoint's vectors,
# evaluates them on reviews that none saw, lets the first answer new ones, and prunes it to twice its speed. Once built,
# three minutes on two cores.
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
# What compare measured of a model and its compressed form, a line each.
beside() {
  awk -v name="$1" 'function value(key) { match($0, "\"" key "\": *[0-9.e+-]+"); t = substr($0, RSTART, RLENGTH); sub(/.*: */, "", t); return t + 0 }
    { mb[NR] = value("file_bytes") / 1e6; memory[NR] = value("peak_bytes") / 1e6; rate[NR] = value("rows_per_s"); right[NR] = value("accuracy") }
    END { printf("%s: %.1f -> %.1f MB, %.0f -> %.0f MB of memory, %.0f -> %.0f rows/s, accuracy %.2f -> %.2f", name, mb[1], mb[2], memory[1], memory[2], rate[1], rate[2], right[1], right[2]) }' "$work/compared.json"
}
summary=() small=()
demo() {  # demo NAME LANGUAGE-FILE-SUFFIX TEXT...
  local name=$1 language=$2 train="samples/reviews_$2.train.tsv" test="samples/reviews_$2.test.tsv"
  local tune=(finetune --task text-classification --train "$train" --epochs 8 --batch-size 16 --learning-rate 3e-4)
  shift 2
  echo
  echo "== $name: fine-tuning the checkpoint on 400 labelled reviews, also with embeddings moved against the answer (--fgm)"
  "$cloze" "${tune[@]}" --fgm 0.01 --model "$model" --output "$work/$language"
  echo
  echo "== $name: the same model from random weights, the same rows and options but --fgm, with which random weights do worse"
  "$cloze" "${tune[@]}" --from-scratch --vocab "$model" --layers 4 --hidden 256 --output "$work/$language-scratch"
  echo
  echo "== $name: the checkpoint as it is, and a linear classifier on its vectors joined with TF-IDF: seconds"
  "$cloze" finetune --task text-classification --train "$train" --encoder frozen \
    --features tfidf-words tfidf-chars --model "$model" --output "$work/$language-frozen"
  "$cloze" evaluate --model "$work/$language-frozen" --data "$test" >"$work/$language-frozen.json" 2>/dev/null
  echo
  echo "== $name: evaluating on 100 reviews that none has seen"
  "$cloze" evaluate --model "$work/$language-scratch" --data "$test" >"$work/$language-scratch.json" 2>/dev/null
  "$cloze" evaluate --model "$work/$language" --data "$test" | tee "$work/$language.json"
  echo
  echo "== $name: predicting"
  printf '%s\n' "$@" | tee "$work/texts" | "$cloze" predict --model "$work/$language" >"$work/answers"
  paste -d '\n' "$work/texts" "$work/answers"
  echo
  echo "== $name: pruned to twice the speed and taught again by what it was pruned from, then in 8 bits"
  "$cloze" prune --model "$work/$language" --output "$work/$language-pruned" --target-speedup 2 --data "$train" --rows 128 \
    --recover 2 >/dev/null
  "$cloze" quantize --model "$work/$language-pruned" --output "$work/$language-small" >/dev/null
  echo
  echo "== $name: both beside each other"
  "$cloze" compare "$work/$language" "$work/$language-small" --data "$test" >"$work/compared.json"
  small+=("$(beside "$name")")
  summary+=("$name: $(accuracy "$work/$language.json") accuracy from the checkpoint, $(accuracy "$work/$language-scratch.json") from random weights, $(accuracy "$work/$language-frozen.json") from frozen vectors and TF-IDF")
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
echo "== pruned and in 8 bits, against whole"
printf '   %s\n' "${small[@]}"
echo "   Next: cloze finetune --help, README.md, docs/cli.md. The program is $cloze"
