#!/usr/bin/env bash
# Compares `cloze tokenize` with Hugging Face tokenizers, line by line, and counts the lines whose ids or offsets differ.
# Usage: compare_tokenizer.sh [--cloze PROGRAM] [--lines N] [--hostile] VOCAB.txt[:cased] ... -- [TEXT[.gz] ...]
#   Each vocabulary is tried with each text; lower-casing is on unless :cased stands behind the vocabulary.
#   --hostile adds the hostile texts of tests/text (test_text beside PROGRAM writes them) but for the lines of ten
#   megabytes: those run in Cloze alone, and time and memory are shown. Broken UTF-8 is decoded by the peer's Node.js.
#   --lines N takes the first N lines of each text. NODE_PATH must lead to the npm package `tokenizers`.
# Exit 0 if nothing differs, 1 if something does, 2 if the comparison could not be made.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cloze=$here/build/release/bin/cloze
peer=${CLOZE_PEER:-$here/../shared/peers/hf_tokenize.js}
lines=0 hostile=0
vocabularies=() texts=()
while [[ $# -gt 0 && $1 != -- ]]; do
  case $1 in
    --cloze) cloze=$2; shift 2 ;;
    --lines) lines=$2; shift 2 ;;
    --hostile) hostile=1; shift ;;
    *) vocabularies+=("$1"); shift ;;
  esac
done
[[ ${1:-} == -- ]] && shift
texts=("$@")
if [[ ${#vocabularies[@]} -eq 0 || ${#texts[@]}$hostile == 00 ]]; then
  sed -n '2,8s/^# //p' "$0" >&2
  exit 2
fi
[[ -x $cloze ]] || { echo "no program at $cloze (build it, or give --cloze)" >&2; exit 2; }
[[ -f $peer ]] || { echo "no peer script at $peer (set CLOZE_PEER)" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [[ $hostile == 1 ]]; then
  mkdir "$work/hostile"
  CLOZE_HOSTILE_DIR=$work/hostile "$(dirname "$cloze")/test_text" --gtest_filter='HostileText.*' >&2
  mv "$work/hostile/ten_megabytes.txt" "$work/long.txt"
  rm "$work/hostile/vocab_every.txt"
  texts+=("$work"/hostile/*.txt)
fi

cat > "$work/compare.js" <<'JS'
// Reads both outputs side by side and counts. Both end lines with \n only.
const fs = require('fs');
async function* lines(file) {
  let rest = '';
  for await (const part of fs.createReadStream(file, { encoding: 'utf8' })) {
    const split = (rest + part).split('\n');
    rest = split.pop();
    yield* split;
  }
  if (rest) yield rest;
}
(async () => {
  const [oursFile, peersFile, name] = process.argv.slice(2);
  const ours = lines(oursFile), peers = lines(peersFile);
  let count = 0, ids = 0, offsets = 0, shown = 0;
  for (;;) {
    const [a, b] = [await ours.next(), await peers.next()];
    if (a.done && b.done) break;
    count++;
    const x = a.done ? {} : JSON.parse(a.value), y = b.done ? {} : JSON.parse(b.value);
    const badIds = JSON.stringify(x.ids) !== JSON.stringify(y.ids), badOffsets = JSON.stringify(x.offsets) !== JSON.stringify(y.offsets);
    ids += badIds;
    offsets += badOffsets;
    if ((badIds || badOffsets) && shown++ < 3) console.log(`line ${count}\n  cloze ${a.value}\n  peer  ${b.value}`);
  }
  console.log(JSON.stringify({ compared: name, lines: count, id_differences: ids, offset_differences: offsets }));
  process.exit(ids + offsets || !count ? 1 : 0);
})();
JS

status=0
for vocabulary in "${vocabularies[@]}"; do
  file=${vocabulary%:cased}
  lower=true peer_options=()
  if [[ $vocabulary == *:cased ]]; then lower=false peer_options=(--cased); fi
  model=$work/model
  mkdir -p "$model"
  cp "$file" "$model/vocab.txt"
  printf '{"do_lower_case": %s}\n' "$lower" > "$model/tokenizer_config.json"
  for text in "${texts[@]}"; do
    if [[ $text == *.gz ]]; then gzip -dc "$text"; else cat "$text"; fi |
      if [[ $lines -gt 0 ]]; then awk -v n="$lines" 'NR <= n'; else cat; fi > "$work/text.txt"
    "$cloze" tokenize --model "$model" --input "$work/text.txt" > "$work/ours.jsonl"
    node "$peer" "$model/vocab.txt" "$work/text.txt" "${peer_options[@]}" > "$work/peers.jsonl"
    node "$work/compare.js" "$work/ours.jsonl" "$work/peers.jsonl" "$vocabulary $(basename "$text")" || status=1
  done
  if [[ $hostile == 1 ]]; then
    for ((i = 1; i <= $(wc -l < "$work/long.txt"); i++)); do
      LC_ALL=C sed -n "${i}p" "$work/long.txt" > "$work/text.txt"
      /usr/bin/time -f "$vocabulary ten megabytes, line $i: %e s, processor %U + %S s, %M KB" \
        "$cloze" tokenize --model "$model" --input "$work/text.txt" > /dev/null || status=1
    done
  fi
done
exit $status
