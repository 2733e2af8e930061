#!/usr/bin/env bash
# Times Cloze against PyTorch, ONNX Runtime and Hugging Face tokenizers in one run and prints the ratios.
# Usage: bench/compare_peers.sh [--runs N] [--rounds N] [ROW...]      (default: 7 runs, 2 rounds, every row; --list names them)
#   a round times Cloze and then the peer, RUNS passes each after one untimed; a figure is the median over the rounds'
#   medians. Run nothing else meanwhile. Environment: CLOZE (the program), CLOZE_PEERS, CLOZE_DATA.
# Exits with 1 if a row is below its floor. Models are made at random under build/peers and kept.
set -euo pipefail
cd "$(dirname "$0")/.."
cloze=${CLOZE:-build/release/bin/cloze}
peers=${CLOZE_PEERS:-../shared/peers}
data=${CLOZE_DATA:-../shared/data}
runs=7 rounds=2 wanted=()
list=
while [ $# -gt 0 ]; do
  case $1 in
    --runs) runs=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --list) list=1; shift ;;
    -*) echo "usage: bench/compare_peers.sh [--runs N] [--rounds N] [--list] [ROW...]" >&2; exit 2 ;;
    *) wanted+=("$1"); shift ;;
  esac
done
work=build/peers
vocab=$data/vocab/bert-base-uncased/vocab.txt

# The rows: name | measure | floor | peer | mode | model | bench's arguments, those after + for Cloze alone
# Files of lengths are cut to their first rows where a whole pass of the peer takes minutes: FILE:ROWS.
rows='
infer-base-8x128     | time    | 1.05 | ort   | infer | 12x768 | --batch 8 --length 128
infer-base-sst2      | time    | 2    | ort   | infer | 12x768 | --batch 32 --lengths sst2_dev:128
infer-base-mixed     | time    | 4.5  | ort   | infer | 12x768 | --batch 32 --lengths mixed:128
latency-base-128     | time    | 1.2  | ort   | infer | 12x768 | --batch 1 --length 128
latency-base-16      | time    | 1.35 | ort   | infer | 12x768 | --batch 1 --length 16
infer-mini-32x64     | time    | 1.15 | ort   | infer | 4x256  | --batch 32 --length 64
latency-mini-16      | time    | 2    | ort   | infer | 4x256  | --batch 1 --length 16
infer-tiny-32x64     | time    | 1.4  | ort   | infer | 2x128  | --batch 32 --length 64
latency-tiny-16      | time    | 2.5  | ort   | infer | 2x128  | --batch 1 --length 16
int8-base-8x128      | time    | 1.0  | ort8  | infer | 12x768 | --batch 8 --length 128 + --precision int8
train-base-8x128     | time    | 2    | torch | train | 12x768 | --batch 8 --length 128
train-mini-32x64     | time    | 3    | torch | train | 4x256  | --batch 32 --length 64
train-tiny-32x64     | time    | 4    | torch | train | 2x128  | --batch 32 --length 64
train-mini-sst2      | time    | 8    | torch | train | 4x256  | --batch 32 --lengths sst2_train_6400:640
memory-base-train    | memory  | 0.7  | torch | train | 12x768 | --batch 8 --length 128
memory-base-lean     | memory  | 0.5  | torch | train | 12x768 | --batch 8 --length 128 + --lean
memory-tiny-predict  | predict | 40   | none  | -     | 2x128  | -
tokenize-english     | tokens  | 15   | hf    | -     | english | -
tokenize-chinese     | tokens  | 15   | hf    | -     | chinese | -
start-base           | start   | 0.35 | none  | -     | 12x768 | -
'
[ -z "$list" ] || { awk -F'|' 'NF > 1 {print $1 "floor" $3 "of" $4}' <<<"$rows"; exit; }

shape_of() {  # layers, hidden, heads
  case $1 in 12x768) echo 12 768 12 ;; 4x256) echo 4 256 4 ;; 2x128) echo 2 128 2 ;; esac
}
model_of() {
  local layers hidden heads
  read -r layers hidden heads < <(shape_of "$1")
  [ -e "$work/$1/model.safetensors" ] || "$peers/torch_bert.py" make "$work/$1" --layers "$layers" --hidden "$hidden" \
    --heads "$heads" --vocab "$vocab" --std 0.02 >&2
  echo "$work/$1"
}
onnx_of() {
  local to=$work/$1${2:-}.onnx
  [ -e "$to" ] || "$peers/export_onnx.py" "$(model_of "$1")" "$to.part" ${2:+--int8} >/dev/null 2>&1
  [ -e "$to" ] || mv "$to.part" "$to"
  echo "$to"
}
# NAME of bench's JSON line on stdin
field() { grep -o "\"$1\": *[-0-9.e+]*" | tail -1 | sed 's/.*: *//'; }
median() { sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
# The arguments with FILE:ROWS made a file of that many rows
resolve() {
  local out=() rest
  for rest in "$@"; do
    if [[ $rest == *:* ]]; then
      head -n "${rest#*:}" "$peers/lengths/${rest%:*}.txt" >"$work/${rest/:/-}.txt"
      rest=$work/${rest/:/-}.txt
    fi
    out+=("$rest")
  done
  echo "${out[@]}"
}
# Passes enough to take a second and a half or so, for small models
passes() { case $1 in latency-base* | *-mini-* | *-tiny-*) [[ $1 == *sst2 ]] && echo "$runs" || echo $((runs * 15)) ;; *) echo "$runs" ;; esac; }
# Highest resident memory of a command in MiB; its output is dropped.
peak_mib() {
  /usr/bin/python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)' "$@"
}

export NODE_PATH
NODE_PATH=$("$peers/setup.sh")
mkdir -p "$work"
status=0
printf '%-20s %12s %12s %8s %7s\n' row cloze peer ratio floor
while IFS='|' read -r name measure floor peer mode model arguments; do
  name=${name// /} measure=${measure// /} floor=${floor// /} peer=${peer// /} mode=${mode// /} model=${model// /}
  [ -n "$name" ] || continue
  if [ ${#wanted[@]} -gt 0 ]; then
    found=
    for one in "${wanted[@]}"; do [[ $name != $one ]] || found=1; done
    [ -n "$found" ] || continue
  fi
  ours= theirs= unit=s
  case $measure in
    time)
      dir=$(model_of "$model")
      args=$(resolve ${arguments%+*})
      n=$(passes "$name")
      own=
      [[ $arguments != *+* ]] || own=${arguments#*+}
      case $peer in
        ort) onnx=$(onnx_of "$model") ;;
        ort8) onnx=$(onnx_of "$model" 8) ;;
      esac
      for ((round = 0; round < rounds; ++round)); do
        line=$($cloze bench --model "$dir" --mode "$mode" $args --runs "$n" $own)
        ours+="$(field seconds_median <<<"$line") "
        case $peer in
          ort*) line=$(node "$peers/ort_bench.js" "$onnx" $args --runs "$n") ;;
          torch) line=$("$peers/torch_bert.py" bench "$dir" --mode "$mode" $args --runs "$n") ;;
        esac
        theirs+="$(field seconds_median <<<"$line") "
      done ;;
    memory)
      dir=$(model_of "$model")
      unit=MiB
      ours=$(peak_mib $cloze bench --model "$dir" --mode train ${arguments/+/} --runs 2)
      theirs=$(peak_mib "$peers/torch_bert.py" bench "$dir" --mode train ${arguments%+*} --runs 2) ;;
    predict)
      dir=$(model_of "$model")
      unit=MiB
      ours=$(seq 2000 | sed 's/.*/a film of & quiet minutes and one loud one/' | peak_mib $cloze predict --model "$dir" --input -)
      theirs=$(stat -c %s "$dir/model.safetensors" | awk '{print $1 / 1048576}') ;;
    start)
      dir=$(model_of "$model")
      cat "$dir/model.safetensors" >/dev/null
      for ((round = 0; round < 7; ++round)); do
        begin=$(date +%s%N)
        echo "a film worth seeing" | $cloze predict --model "$dir" --input - >/dev/null
        ours+="$(echo "$(date +%s%N) $begin" | awk '{print ($1 - $2) / 1e9}') "
      done ;;
    tokens)
      unit=MB/s
      text=$work/$model.txt
      case $model in
        english) from=$data/corpora/enwiki vocabulary=$vocab ;;
        chinese) from=$data/corpora/zhwiki vocabulary=$data/vocab/bert-base-chinese/vocab.txt ;;
      esac
      [ -s "$text" ] || gzip -dc "$from"*.gz | head -c 20000000 | sed "\$d" >"$text" || true  # head ends gzip early
      mkdir -p "$work/tok-$model" && cp "$vocabulary" "$work/tok-$model/vocab.txt"
      for ((round = 0; round < rounds; ++round)); do
        ours+="$($cloze bench --mode tokenize --model "$work/tok-$model" --input "$text" --runs "$runs" | field mb_per_s) "
        theirs+="$(node "$peers/hf_tokenize.js" "$vocabulary" "$text" --bench | field mb_per_s) "
      done ;;
  esac
  a=$(tr ' ' '\n' <<<"$ours" | sed '/^$/d' | median)
  b=$(tr ' ' '\n' <<<"${theirs:-}" | sed '/^$/d' | median)
  case $measure in
    time) ratio=$(awk "BEGIN {print $b / $a}") good=$(awk "BEGIN {print ($b / $a >= $floor)}") ;;
    tokens) ratio=$(awk "BEGIN {print $a / $b}") good=$(awk "BEGIN {print ($a / $b >= $floor)}") ;;
    memory) ratio=$(awk "BEGIN {print $a / $b}") good=$(awk "BEGIN {print ($a / $b <= $floor)}") ;;
    predict) ratio=$(awk "BEGIN {print $a - $b}") good=$(awk "BEGIN {print ($a - $b <= $floor)}") ;;
    start) ratio=$a good=$(awk "BEGIN {print ($a <= $floor)}") ;;
  esac
  awk -v name="$name" -v a="$a" -v b="$b" -v unit="$unit" -v ratio="$ratio" -v floor="$floor" -v good="$good" \
    'BEGIN {printf "%-20s %9.4g %-4s %7.4g %-4s %6.2f %7s%s\n", name, a, unit, b, unit, ratio, floor, good ? "" : "  below"}'
  [ "$good" = 1 ] || status=1
done <<<"$rows"
exit $status
