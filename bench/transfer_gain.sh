#!/usr/bin/env bash
# What a pretrained checkpoint gains over random weights of the same shape: fine-tunes both on SST-2 (English) and
# ChnSentiCorp (Chinese), with few rows and with all, over several seeds, and prints a table and every run.
# Usage: bench/transfer_gain.sh MODEL DATA-FOLDER [--rows 1000] [--seeds 3] [--full] [--only sst2|chnsenticorp]
#   --full   train on all rows (from the checkpoint alone) instead of --rows
# Environment: RATE and SCRATCH_RATE, learning rates (3e-4); MORE and SCRATCH_MORE, further options of finetune, e.g. MORE="--fgm 0.03".
# DATA-FOLDER holds glue/SST-2 and chinese/chnsenticorp as published. Results lie in build/transfer_gain.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
model=$1 data=$2 rows=1000 seeds=3 full=no only=
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --rows) rows=$2; shift 2 ;;
    --seeds) seeds=$2; shift 2 ;;
    --full) full=yes; shift ;;
    --only) only=$2; shift 2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
done
cloze=${CLOZE:-build/release/bin/cloze}
out=build/transfer_gain
mkdir -p "$out"
config() { sed -nE "s/.*\"$1\": ([0-9]+).*/\1/p" "$model/config.json"; }

# tune NAME START SEED TRAIN TEST LEARNING-RATE OPTION...: prints the accuracy on TEST of the last weights.
tune() {
  local name=$1 start=$2 seed=$3 train=$4 test=$5 rate=$6 folder
  shift 6
  folder="$out/$name-$start-$seed"
  local from=(--model "$model")
  [ "$start" = pretrained ] || from=(--from-scratch --vocab "$model" --layers "$(config num_hidden_layers)"
    --hidden "$(config hidden_size)" --heads "$(config num_attention_heads)")
  local more=()
  read -ra more <<<"$([ "$start" = scratch ] && echo "${SCRATCH_MORE:-}" || echo "${MORE:-}")"
  "$cloze" finetune --task text-classification "${from[@]}" --train "$train" --seed "$seed" --learning-rate "$rate" \
    --output "$folder" --overwrite --precision bf16 --batching by-length "${more[@]}" "$@" 2>"$folder.log" ||
    { cat "$folder.log" >&2; return 1; }
  "$cloze" evaluate --model "$folder" --data "$test" 2>>"$folder.log" >"$folder.json"
  sed -nE 's/.*"accuracy": ?([0-9.]+).*/\1/p' "$folder.json"
  rm -f "$folder/model.safetensors"
}

# compare NAME TRAIN TEST OPTION...
compare() {
  local name=$1 train=$2 test=$3 starts="scratch pretrained" start seed
  shift 3
  [ -z "$only" ] || [ "$only" = "${name%%-*}" ] || return 0
  if [ "$full" = no ]; then
    head -n $((rows + 1)) "$train" >"$out/$name.train.tsv"
    train="$out/$name.train.tsv"
  else
    starts=pretrained
  fi
  for start in $starts; do
    local found=()
    for ((seed = 1; seed <= seeds; ++seed)); do
      # Random weights want a higher learning rate: each start has the better one of 3e-4 and 1e-3 (docs/benchmarks.md).
      found+=("$(tune "$name" "$start" "$seed" "$train" "$test" "$([ "$start" = scratch ] && echo "${SCRATCH_RATE:-3e-4}" || echo "${RATE:-3e-4}")" "$@")")
    done
    printf '%s\n' "${found[@]}" | awk -v name="$name" -v start="$start" -v all="${found[*]}" \
      '{ sum += $1; square += $1 * $1 } END { mean = sum / NR; sd = NR > 1 ? sqrt((square - NR * mean * mean) / (NR - 1)) : 0;
         printf "%-24s %-11s mean %.4f  sd %.4f  (%s)\n", name, start, mean, sd, all }'
  done
}

if [ "$full" = yes ]; then
  compare sst2-full "$data/glue/SST-2/train.tsv" "$data/glue/SST-2/dev.tsv" --epochs 3 --batch-size 32
  compare chnsenticorp-full "$data/chinese/chnsenticorp/train.tsv" "$data/chinese/chnsenticorp/test.tsv" --epochs 4 --batch-size 16 --max-length 256
else
  compare "sst2-$rows" "$data/glue/SST-2/train.tsv" "$data/glue/SST-2/dev.tsv" --epochs 8 --batch-size 16
  compare "chnsenticorp-$rows" "$data/chinese/chnsenticorp/train.tsv" "$data/chinese/chnsenticorp/test.tsv" --epochs 8 --batch-size 16 --max-length 256
fi
