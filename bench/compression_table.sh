#!/usr/bin/env bash
# What pruning costs and brings: a model is tuned, pruned to several speeds, and tuned once more; over several seeds.
# Keeps finished runs in build/compression_table; prints a Markdown table of means.
# Usage: bench/compression_table.sh MODEL DATA-FOLDER [--set sst2|chnsenticorp] [--seeds 3] [--speeds "2 3.5"] [--report]
# DATA-FOLDER holds glue/SST-2 and chinese/chnsenticorp as published. The clock wants a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
model=$1 data=$2 set=sst2 seeds=3 speeds="2 3.5" report=no
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --set) set=$2; shift 2 ;;
    --seeds) seeds=$2; shift 2 ;;
    --speeds) speeds=$2; shift 2 ;;
    --report) report=yes; shift ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
done
case $set in
  sst2) train=$data/glue/SST-2/train.tsv test=$data/glue/SST-2/dev.tsv form=(--format sst2) length=32 epochs=2 ;;
  chnsenticorp) train=$data/chinese/chnsenticorp/train.tsv test=$data/chinese/chnsenticorp/test.tsv form=() length=128 epochs=3 ;;
  *) echo "unknown set $set" >&2; exit 2 ;;
esac
cloze=${CLOZE:-build/release/bin/cloze}
out=build/compression_table
mkdir -p "$out"

tune() {  # MODEL OUTPUT SEED EPOCHS RATE
  "$cloze" finetune --task text-classification "${form[@]}" --model "$1" --train "$train" --output "$2" --overwrite --seed "$3" \
    --epochs "$4" --learning-rate "$5" --batch-size 32 --max-length 256 --precision bf16 --batching by-length 2>>"$out/$set.log"
}

if [ "$report" = no ]; then
  for ((seed = 1; seed <= seeds; ++seed)); do
    dense=$out/$set-$seed
    [ -s "$dense/model.safetensors" ] || tune "$model" "$dense" "$seed" "$epochs" 3e-4
    for speed in $speeds; do
      at=$dense-$speed
      [ -s "$at.json" ] && continue
      rm -rf "$at" "$at-tuned"
      "$cloze" prune --model "$dense" --output "$at" "${form[@]}" --target-speedup "$speed" --data "$train" --dev "$test" \
        --batch 32 --length "$length" --seed "$seed" >"$at.pruned" 2>>"$out/$set.log"
      tune "$at" "$at-tuned" "$seed" 1 1e-4
      "$cloze" evaluate --model "$at-tuned" --data "$test" "${form[@]}" --max-length 256 2>>"$out/$set.log" >"$at.json"
    done
  done
fi

number() { sed -nE "s/.*\"$2\": ?([0-9.e+-]+).*/\1/p" <<<"$1" | head -1; }
echo "| asked | times as fast | parameters | MB | whole, accuracy | pruned | tuned once more |"
echo "|---:|---:|---:|---:|---:|---:|---:|"
for speed in $speeds; do
  for ((seed = 1; seed <= seeds; ++seed)); do
    at=$out/$set-$seed-$speed
    [ -s "$at.json" ] || continue
    line=$(cat "$at.pruned")
    before=${line##*\"before\":}
    before=${before%%\}*}
    after=${line##*\"after\":}
    echo "$(number "$line" seconds_before) $(number "$line" seconds) $(number "$line" parameters_before) $(number "$line" parameters)" \
      "$(number "$line" megabytes_before) $(number "$line" megabytes) $(number "$before" accuracy) $(number "$after" accuracy)" \
      "$(number "$(cat "$at.json")" accuracy)"
  done | awk -v asked="$speed" '{ fast += $1 / $2; left += $4 / $3; mb0 += $5; mb += $6; for (i = 7; i <= 9; ++i) { s[i] += $i; q[i] += $i * $i } }
    function cell(i,  m, d) { m = s[i] / NR; d = NR > 1 ? sqrt((q[i] > NR * m * m ? q[i] - NR * m * m : 0) / (NR - 1)) : 0
      return sprintf(NR > 1 ? "%.1f ± %.1f" : "%.1f", 100 * m, 100 * d) }
    END { if (NR) printf("| %s | %.2f | %.0f %% | %.1f → %.1f | %s | %s | %s |\n", asked, fast / NR, 100 * left / NR, mb0 / NR, mb / NR, cell(7), cell(8), cell(9)) }'
done
