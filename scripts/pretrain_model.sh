#!/usr/bin/env bash
# Makes the checkpoint that ships, models/cloze-mini-en-zh, from the corpora: vocabulary, pretraining with rows of 128
# tokens, then with rows of 384, weights in half width. Takes hours; stopped at any moment, it goes on when called again.
# Usage: scripts/pretrain_model.sh CORPORA-FOLDER [WORK-FOLDER]
#   CORPORA-FOLDER holds enwiki.txt.gz, zhwiki.txt.gz and imdb_reviews.txt.gz: a paragraph a line, a blank line between
#   documents. WORK-FOLDER (build/pretrain) keeps caches and runs; the model is WORK-FOLDER/final in the end.
# Environment: SHORT_ROWS (88m), LONG_ROWS (12m): training time of the two stages.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
corpora=$1 work=${2:-build/pretrain}
cloze=${CLOZE:-build/release/bin/cloze}
files=("$corpora/enwiki.txt.gz" "$corpora/zhwiki.txt.gz" "$corpora/imdb_reviews.txt.gz")
mkdir -p "$work"
[ -e "$work/vocabs/16k/vocab.txt" ] || "$cloze" vocab train --corpus "${files[@]}" --size 16000 --output "$work/vocabs/16k"

# stage NAME OPTION...: a finished stage is left as it is, a stopped one goes on.
stage() {
  local name=$1
  shift
  "$cloze" pretrain --corpus "${files[@]}" --weights 0.7 1 2.5 --cache-dir "$work/cache" --output "$work/$name" \
    --precision bf16 --warmup-ratio 0.03 --dropout 0 --eval-steps 1000 --evaluation-rows 768 --resume "$@"
}
stage run1 --vocab "$work/vocabs/16k" --size mini --max-length 128 --batch-size 32 --learning-rate 1e-3 \
  --time-budget "${SHORT_ROWS:-88m}"
stage final --model "$work/run1" --max-length 384 --batch-size 11 --learning-rate 3e-4 --weights-type f16 \
  --time-budget "${LONG_ROWS:-12m}"
echo "the checkpoint is $work/final"
