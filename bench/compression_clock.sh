#!/usr/bin/env bash
# What compression brings on the clock, whatever the accuracy: a random 12x768 model whole, with half of its heads and 60 %
# of its neurons gone, in 8 bits, with 90 % zeros, and both; and a compressed model on real lengths beside its whole one
# and the peers. Prints Markdown. The clock wants a quiet machine.
# Usage: bench/compression_clock.sh [--whole DIR --compressed DIR [--lengths sst2_dev]] [--no-random] [--runs 5]
set -euo pipefail
cd "$(dirname "$0")/.."
peers=$(cd "${CLOZE_PEERS:-../shared/peers}" && pwd) cloze=${CLOZE:-build/release/bin/cloze}
work=build/compression_clock runs=5 whole= compressed= lengths=sst2_dev random=1
while [ $# -gt 0 ]; do
  case $1 in
    --whole) whole=$2; shift 2 ;;
    --compressed) compressed=$2; shift 2 ;;
    --lengths) lengths=$2; shift 2 ;;
    --no-random) random=; shift ;;
    --runs) runs=$2; shift 2 ;;
    *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
  esac
done
export NODE_PATH
NODE_PATH=$("$peers/setup.sh")
mkdir -p "$work"
field() { grep -o "\"$1\": *[-0-9.e+]*" | tail -1 | sed 's/.*: *//'; }
seconds() { "$cloze" bench --model "$1" --mode infer "${@:2}" --runs "$runs" 2>/dev/null | field seconds_median; }

random_models() {
  local base=$work/12x768
  [ -e "$base/model.safetensors" ] || "$peers/torch_bert.py" make "$base" --layers 12 --hidden 768 --heads 12 \
    --vocab "${CLOZE_DATA:-../shared/data}/vocab/bert-base-uncased/vocab.txt" --std 0.02 >&2
  make() { # NAME COMMAND...
    [ -e "$work/$1/model.safetensors" ] || "$cloze" "${@:2}" --output "$work/$1" >/dev/null 2>>"$work/log"
  }
  make pruned prune --model "$base" --keep heads=0.5,ffn=0.4
  make int8 quantize --model "$base"
  make sparse prune --model "$base" --sparsity 0.9
  make pruned-int8 quantize --model "$work/pruned"
  echo "| 12x768, 8 x 128 tokens | ms | times as fast | MB |"
  echo "|---|---:|---:|---:|"
  dense=$(seconds "$base" --batch 8 --length 128)
  for name in 12x768 pruned int8 sparse pruned-int8; do
    now=$(seconds "$work/$name" --batch 8 --length 128)
    again=$(seconds "$base" --batch 8 --length 128)
    size=$(stat -c %s "$work/$name/model.safetensors")
    awk -v n="$name" -v a="$dense" -v c="$again" -v b="$now" -v s="$size" \
      'BEGIN { d = (a + c) / 2; printf("| %s | %.0f | %.2f | %.0f |\n", n, 1e3 * b, d / b, s / 1e6) }'
    dense=$again
  done
}
[ -z "$random" ] || random_models

[ -n "$whole" ] && [ -n "$compressed" ] || exit 0
name=$lengths lengths=$peers/lengths/$lengths.txt
# The peers get random weights of the whole model's shape: they draw ids from a vocabulary of 30,522.
shape=$("$cloze" info "$whole" --json)
same=$work/same-shape
rm -rf "$same" "$same.onnx"
"$peers/torch_bert.py" make "$same" --layers "$(field layers <<<"$shape")" --hidden "$(field hidden <<<"$shape")" --heads "$(field heads <<<"$shape")" \
  --vocab "${CLOZE_DATA:-../shared/data}/vocab/bert-base-uncased/vocab.txt" --std 0.02 >&2
"$peers/export_onnx.py" "$same" "$same.onnx" >/dev/null 2>&1
echo
echo "| $(wc -l <"$lengths") rows as long as those of $name, batches of 32 | s | compressed, s | so many times as fast |"
echo "|---|---:|---:|---:|"
# Each row with a measure of the compressed model of its own, so that a noisy minute hits both.
row() { # NAME SECONDS
  awk -v n="$1" -v t="$2" -v s="$(seconds "$compressed" --batch 32 --lengths "$lengths")" \
    'BEGIN { printf("| %s | %.3f | %.3f | %.1f |\n", n, t, s, t / s) }'
}
row "Cloze, whole" "$(seconds "$whole" --batch 32 --lengths "$lengths")"
row "ONNX Runtime, whole" "$(node "$peers/ort_bench.js" "$same.onnx" --batch 32 --lengths "$lengths" --runs "$runs" | field seconds_median)"
row "PyTorch, whole" "$("$peers/torch_bert.py" bench "$same" --mode infer --batch 32 --lengths "$lengths" --runs "$runs" | field seconds_median)"
