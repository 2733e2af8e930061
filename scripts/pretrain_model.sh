#!/usr/bin/env bash
# Makes the checkpoint that ships, models/cloze-mini-en-zh, from the corpora: a vocabulary, then pretraining; weights in
# half width. Stopped at any moment, it goes on when called again.
# Usage: scripts/pretrain_model.sh CORPORA-FOLDER [WORK-FOLDER]
#   CORPORA-FOLDER holds enwiki.txt.gz, zhwiki.txt.gz and imdb_reviews.txt.gz: a paragraph a line, a blank line between
#   documents. WORK-FOLDER (build/pretrain) keeps caches and runs; the model is WORK-FOLDER/model in the end.
# Environment: PROCESSES (2), of one thread each, by mpirun. TIME (60m) of training.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
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
# About 4000 tokens a step. Reviews count five times: opinions are what small models are asked for most. Rows of up to
# 256 tokens train that many positions; many short ones among them make steps cheaper.
"${launch[@]}" "$cloze" pretrain --corpus "${files[@]}" --weights 0.7 1 5 --vocab "$work/vocab" --size mini \
  --cache-dir "$work/cache" --output "$work/model" --resume --time-budget "${TIME:-60m}" --weights-type f16 \
  --precision bf16 --dropout 0 --max-length 256 --short-rate 0.4 --mask-rate 0.2 --learning-rate 1e-3 --warmup-ratio 0.02 \
  --batch-size $((20 / processes)) --gradient-accumulation "$processes" --threads 1 --seed 45 \
  --eval-steps 2500 --evaluation-rows 768
echo "the checkpoint is $work/model"
