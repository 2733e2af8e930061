#!/usr/bin/env bash
# Every way of `cloze compare-transfer` on SST-2, ChnSentiCorp, TREC and banking77, with few rows a class and with all,
# over several seeds. Keeps each finished cell in build/transfer_table and goes on from there when run again; prints
# Markdown tables at the end.
# Usage: bench/transfer_table.sh MODEL DATA-FOLDER [--sets "sst2 chnsenticorp trec banking77"] [--sizes "10 100 1000 all"]
#        [--seeds "1 2 3"] [--ways "linear full"] [--precision fp32|bf16] [--report]
#   --report  prints the tables of what is there, and runs nothing
# DATA-FOLDER holds glue/SST-2, chinese/chnsenticorp, classification/trec and classification/banking77 as published.
# Training rows are drawn anew for each seed; as many more, at most 1000, are drawn as dev rows. What is measured on is
# the published test file (SST-2: its dev file), which nothing is chosen by.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,11s/^# //p' "$0" >&2; exit 2; }
model=$1 data=$2 sets="sst2 chnsenticorp trec banking77" sizes="10 100 1000 all" seeds="1 2 3" ways= precision=fp32 report=no
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --sets) sets=$2; shift 2 ;;
    --sizes) sizes=$2; shift 2 ;;
    --seeds) seeds=$2; shift 2 ;;
    --ways) ways=$2; shift 2 ;;
    --precision) precision=$2; shift 2 ;;
    --report) report=yes; shift ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
done
cloze=${CLOZE:-build/release/bin/cloze}
out=build/transfer_table
mkdir -p "$out/data"

# rows SET train|test: label, tab, text; no header.
rows() {
  case $1-$2 in
    sst2-train) tail -n +2 "$data/glue/SST-2/train.tsv" ;;
    sst2-test) tail -n +2 "$data/glue/SST-2/dev.tsv" ;;
    chnsenticorp-*) tail -n +2 "$data/chinese/chnsenticorp/$2.tsv" ;;
    trec-*) iconv -f latin1 -t utf-8 "$data/classification/trec/$2.txt" | sed 's/ /\t/' ;;
    # Quoted fields may hold commas and line ends; the label is what follows the last comma.
    banking77-*)
      tail -n +2 "$data/classification/banking77/$2.csv" | tr -d '\r' |
        awk '{ line = line $0; if (gsub(/"/, "\"", line) % 2) { line = line " "; next }
               at = match(line, /,[^,]*$/); text = substr(line, 1, at - 1)
               if (text ~ /^".*"$/) { text = substr(text, 2, length(text) - 2); gsub(/""/, "\"", text) }
               print substr(line, at + 1) "\t" text; line = "" }'
      ;;
    *) echo "unknown set $1" >&2; exit 2 ;;
  esac
}

# Divides the shuffled training rows of SET into SIZE a class and dev rows.
draw() {
  local set=$1 size=$2 seed=$3 name=$4
  rows "$set" train | shuf --random-source=<(yes "$seed") | awk -F '\t' -v size="$size" -v train="$out/data/$name.train.tsv" \
    -v dev="$out/data/$name.dev.tsv" '
    BEGIN { print "label\ttext" > train; print "label\ttext" > dev }
    size == "all" { if (NR <= 1000) print > dev; else print > train; next }
    ++seen[$1] <= size { print > train; ++taken; next }
    { rest[++left] = $0 }
    END { if (size != "all") for (i = 1; i <= left && i <= taken && i <= 1000; ++i) print rest[i] > dev }'
}

cell() {
  local set=$1 size=$2 seed=$3 name="$1-$2-$3" options=(--precision "$precision")
  [ -s "$out/$name.jsonl" ] && return 0
  draw "$set" "$size" "$seed" "$name"
  if [ "$(wc -l <"$out/data/$name.dev.tsv")" -lt 2 ]; then return 0; fi
  { printf 'label\ttext\n'; rows "$set" test; } >"$out/data/$set.test.tsv.$$" && mv "$out/data/$set.test.tsv.$$" "$out/data/$set.test.tsv"
  if [ "$set" = chnsenticorp ]; then options+=(--max-length 256); fi
  if [ "$size" = all ]; then options+=(--batch-size 32); fi
  # shellcheck disable=SC2086
  [ -z "$ways" ] || options+=(--ways $ways)
  echo "$name: $(($(wc -l <"$out/data/$name.train.tsv") - 1)) rows" >&2
  "$cloze" compare-transfer --model "$model" --train "$out/data/$name.train.tsv" --dev "$out/data/$name.dev.tsv" \
    --test "$out/data/$set.test.tsv" --seed "$seed" --output "$out/run-$name" --overwrite "${options[@]}" \
    >"$out/$name.part" 2>"$out/$name.log"
  rm -rf "$out/run-$name"
  mv "$out/$name.part" "$out/$name.jsonl"
}

if [ "$report" = no ]; then
  for set in $sets; do for size in $sizes; do for seed in $seeds; do cell "$set" "$size" "$seed"; done; done; done
fi

# value KEY LINE-FILE..: the numbers of a way
field() { sed -nE "s/.*\"way\": ?\"$2\".*\"$1\": ?([0-9.e+-]+).*/\1/p" "${@:3}"; }
for set in $sets; do
  largest=
  for size in $sizes; do if compgen -G "$out/$set-$size-*.jsonl" >/dev/null; then largest=$size; fi; done
  if [ -z "$largest" ]; then continue; fi
  printf '\n### %s\n\n| way |' "$set"
  for size in $sizes; do printf ' %s |' "$size"; done
  printf ' numbers trained at %s | seconds | rows/s |\n|---|' "$largest"
  for size in $sizes; do printf -- '---:|'; done
  printf -- '---:|---:|---:|\n'
  for way in prototype knn linear svm mlp linear-auto linear-tfidf head bitfit lora top=1 full; do
    line="| \`$way\` |" last=
    for size in $sizes; do
      files=("$out/$set-$size"-*.jsonl)
      if [ -e "${files[0]}" ]; then
        last=("${files[@]}")
        line+=$(field accuracy "$way" "${files[@]}" | awk '{ s += $1; q += $1 * $1 } END { if (!NR) printf(" |"); else { m = s / NR
          d = NR > 1 ? sqrt((q > NR * m * m ? q - NR * m * m : 0) / (NR - 1)) : 0; printf((NR > 1 ? " %.1f ± %.1f |" : " %.1f |"), 100 * m, 100 * d) } }')
      else
        line+=" |"
      fi
    done
    if [ -n "${last[*]}" ]; then
      for key in trained train_seconds rows_per_second; do
        line+=$(field $key "$way" "${last[@]}" | sort -g | awk -v key=$key '{ a[NR] = $1 } END { if (!NR) printf(" |"); else printf((key == "train_seconds" ? " %.1f |" : " %d |"), a[int((NR + 1) / 2)]) }')
      done
    fi
    echo "$line"
  done
done
