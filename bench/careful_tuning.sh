#!/usr/bin/env bash
# What each careful way of fine-tuning brings on small sets: RTE (accuracy) and CoLA (Matthews correlation), dev rows,
# last weights, over several seeds. Keeps finished runs in build/careful_tuning; prints a Markdown table.
# Usage: bench/careful_tuning.sh MODEL DATA-FOLDER [--seeds 3] [--sets "CoLA RTE"] [--rate 1e-4] [--report]
# DATA-FOLDER holds glue/RTE and glue/CoLA as published.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
model=$1 data=$2 seeds=3 sets="CoLA RTE" rate=1e-4 report=no
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    --sets) sets=$2; shift 2 ;;
    --rate) rate=$2; shift 2 ;;
    --report) report=yes; shift ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
done
cloze=${CLOZE:-build/release/bin/cloze}
out=build/careful_tuning
mkdir -p "$out"
# A third of an epoch, roughly, for each layer that is unfrozen.
settings=("" "--layer-decay 0.8" "--reinit-layers 1" "--ema 0.99" "--fgm 0.003" "--r-drop 1" "--unfreeze-steps 50" "--start-decay 0.1" "--tune lora --lora-targets all")

run() {
  local set=$1 seed=$2 options=$3 name
  name="$set-$seed$(tr -d ' ' <<<"$options")"
  [ -s "$out/$name.json" ] && return 0
  local own=$rate
  case $options in *lora*) own=1e-3 ;; esac
  # shellcheck disable=SC2086
  "$cloze" finetune --task text-classification --model "$model" --format "$(tr '[:upper:]' '[:lower:]' <<<"$set")" \
    --train "$data/glue/$set/train.tsv" --epochs 4 --batch-size 16 --batching by-length --learning-rate "$own" --seed "$seed" \
    --output "$out/run-$name" --overwrite $options 2>"$out/$name.log"
  "$cloze" evaluate --model "$out/run-$name" --format "$(tr '[:upper:]' '[:lower:]' <<<"$set")" --data "$data/glue/$set/dev.tsv" \
    2>>"$out/$name.log" >"$out/$name.part"
  mv "$out/$name.part" "$out/$name.json"
  rm -rf "$out/run-$name"
}

if [ "$report" = no ]; then
  for ((seed = 1; seed <= seeds; ++seed)); do for options in "${settings[@]}"; do for set in $sets; do run "$set" "$seed" "$options"; done; done; done
fi

echo "| options | CoLA, Matthews x 100 | RTE, accuracy |"
echo "|---|---:|---:|"
for options in "${settings[@]}"; do
  line="| $([ -z "$options" ] && echo "plain" || echo "\`$options\`") |"
  for set in CoLA RTE; do
    key=$([ $set = CoLA ] && echo mcc || echo accuracy)
    line+=$(for ((seed = 1; seed <= seeds; ++seed)); do
      file="$out/$set-$seed$(tr -d ' ' <<<"$options").json"
      [ ! -s "$file" ] || sed -nE "s/.*\"$key\": ?([0-9.e+-]+).*/\1/p" "$file"
    done | awk '{ s += $1; q += $1 * $1 } END { if (!NR) printf(" |"); else { m = s / NR
      d = NR > 1 ? sqrt((q > NR * m * m ? q - NR * m * m : 0) / (NR - 1)) : 0; printf((NR > 1 ? " %.1f ± %.1f |" : " %.1f |"), 100 * m, 100 * d) } }')
  done
  echo "$line"
done
