#!/usr/bin/env bash
# Compares whole models and their training with the PyTorch oracle, live: outputs of all heads, every gradient of the
# first step, ten losses. Exit 1 beyond 1e-4, 1e-3 relative, 1e-4. Needs Python with torch; memory 4 GB for 12x768.
# Usage: compare_oracle.sh [ORACLE.py] [VOCAB.txt]
#   CLOZE_TEST_MODEL  the test program, build/release/bin/test_model by default
#   CLOZE_SHAPES      which shapes, "2x128 4x256 12x768" by default
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
oracle=${1:-$repo/../shared/peers/torch_bert.py}
vocab=${2:-$repo/../shared/data/vocab/bert-base-uncased/vocab.txt}
program=${CLOZE_TEST_MODEL:-$repo/build/release/bin/test_model}
python=${PYTHON:-/usr/bin/python3}
for file in "$oracle" "$vocab" "$program"; do
  [ -e "$file" ] || { echo "compare_oracle.sh: no $file" >&2; exit 1; }
done

# Rows short, odd and long; two of three are pairs. The learning rate falls as the model grows. So does the weights'
# deviation: 12 layers of 0.05 make all tokens alike, and then the gradients of query and key are differences of equal
# numbers (PyTorch's own f32 is 66% off its f64 in the last layer).
options() {
  case $1 in
    2x128) echo --layers 2 --hidden 128 --heads 2 --intermediate 512 --std 0.1 --lr 1e-3 --lengths 33 1 2 128 17 64 5 512 ;;
    4x256) echo --layers 4 --hidden 256 --heads 4 --intermediate 1024 --std 0.05 --lr 3e-4 --lengths 33 1 2 128 17 64 5 300 ;;
    12x768) echo --layers 12 --hidden 768 --heads 12 --intermediate 3072 --std 0.02 --lr 5e-5 --lengths 33 1 128 17 64 5 ;;
    *) echo "compare_oracle.sh: unknown shape $1" >&2; return 1 ;;
  esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for shape in ${CLOZE_SHAPES:-2x128 4x256 12x768}; do
  arguments=$(options "$shape")
  # shellcheck disable=SC2086  # the options are words
  "$python" "$repo/tests/model/golden/make_golden.py" "$oracle" "$work/$shape" --vocab "$vocab" --positions 512 \
    $arguments > "$work/make.log" 2>&1 || { cat "$work/make.log" >&2; exit 1; }
  echo "$shape: PyTorch's $(cut -d' ' -f1-11 < "$work/make.log")"
  CLOZE_ORACLE_DIR=$work/$shape "$program" --gtest_filter=OracleTest.LiveComparison > "$work/test.log" 2>&1 || failed=1
  grep -q '^\[  PASSED  \] 1 test' "$work/test.log" || failed=1
  grep -E '^  [a-z]|Failure|Error|Expected|actual|exception' "$work/test.log" || cat "$work/test.log"
  rm -rf "${work:?}/$shape"
done
if [ "$failed" = 0 ]; then echo "all within 1e-4 (outputs), 1e-3 relative (gradients), 1e-4 (losses)"; else echo "FAILED"; fi
exit "$failed"
