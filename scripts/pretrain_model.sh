#!/usr/bin/env bash
# Makes the checkpoint that ships, models/cloze-mini-en-zh, from the corpora: a vocabulary, then pretraining in stages,
# each onward from the one before; weights in half width. Takes hours; stopped at any moment, it goes on when called
# again, and a finished stage is left as it is.
# Usage: scripts/pretrain_model.sh CORPORA-FOLDER [WORK-FOLDER]
#   CORPORA-FOLDER holds enwiki.txt.gz, zhwiki.txt.gz and imdb_reviews.txt.gz: a paragraph a line, a blank line between
#   documents. WORK-FOLDER (build/pretrain) keeps caches and runs; the model is WORK-FOLDER/final in the end.
# Environment: PROCESSES (2): of one thread each, by mpirun. START (30m), MAIN (3h), LONG (20m): time of the stages.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,9s/^# //p' "$0" >&2; exit 2; }
corpora=$1 work=${2:-build/pretrain} processes=${PROCESSES:-2}
cloze=${CLOZE:-build/release/bin/cloze}
files=("$corpora/enwiki.txt.gz" "$corpora/zhwiki.txt.gz" "$corpora/imdb_reviews.txt.gz")
mkdir -p "$work"
[ -e "$work/vocab/vocab.txt" ] || "$cloze" vocab train --corpus "${files[@]}" --size 16000 --output "$work/vocab"
launch=()
if [ "$processes" -gt 1 ]; then
  launch=(mpirun --oversubscribe -n "$processes")
  [ "$(id -u)" -ne 0 ] || launch+=(--allow-run-as-root)
fi

# stage NAME ROWS-A-STEP OPTION...: about 4000 tokens a step
stage() {
  local name=$1 rows=$2
  shift 2
  echo "== stage $name"
  "${launch[@]}" "$cloze" pretrain --corpus "${files[@]}" --weights 0.7 1 2.5 --cache-dir "$work/cache" --output "$work/$name" \
    --precision bf16 --dropout 0 --mask-rate 0.2 --warmup-ratio 0.02 --eval-steps 1000 --evaluation-rows 768 \
    --batch-size $((rows / processes)) --gradient-accumulation "$processes" --threads 1 --resume "$@"
}
# Short rows first: positions are learned from many examples each, and words near a mask matter most.
stage short 64 --vocab "$work/vocab" --size mini --max-length 64 --time-budget "${START:-30m}" --schedule constant
stage main 32 --model "$work/short" --max-length 128 --seed 43 --time-budget "${MAIN:-3h}" --learning-rate 2.5e-4
stage final 12 --model "$work/main" --max-length 320 --seed 44 --time-budget "${LONG:-20m}" --learning-rate 1e-4 --weights-type f16
echo "the checkpoint is $work/final"
