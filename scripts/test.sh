#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests.
# Usage: scripts/test.sh [release|asan|tsan|fuzz|all]   (default release)
#   release  every test, optimised
#   asan     the fast tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan     what runs on several threads, under ThreadSanitizer
#   fuzz     every fuzzer for FUZZ_SECONDS (default 60) seconds
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-release}
case $what in
  release | asan | tsan | fuzz | all) ;;
  *) echo "usage: scripts/test.sh [release|asan|tsan|fuzz|all]" >&2; exit 2 ;;
esac
if [ "$what" = release ]; then scripts/setup.sh; else scripts/setup.sh sanitizers; fi

# build PRESET [TARGET...]
build() {
  local preset=$1 log=build/$1/build.log
  shift
  echo "== $preset: building"
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" ${1:+--target "$@"} >"$log" 2>&1 || { grep -vE '^\[[0-9]+/[0-9]+\] ' "$log"; exit 1; }
}
wanted() { [ "$what" = all ] || [ "$what" = "$1" ]; }

if wanted asan; then
  build asan
  echo "== asan: fast tests"
  ctest --preset asan -L fast -j "$(nproc)" --quiet --output-log build/asan/tests.log ||
    { tail -n 60 build/asan/tests.log; exit 1; }
  tail -n 4 build/asan/tests.log
fi
if wanted tsan; then
  build tsan cloze test_base test_backend test_task test_train test_cli
  echo "== tsan: tests on several threads"
  ctest --preset tsan -L fast -R '^(base|backend|task|train|cli)\.' -j "$(nproc)" --quiet --output-log build/tsan/tests.log ||
    { tail -n 60 build/tsan/tests.log; exit 1; }
  tail -n 4 build/tsan/tests.log
fi
if wanted fuzz; then
  scripts/fuzz.sh "${FUZZ_SECONDS:-60}"
fi
if wanted release; then
  build release
  echo "== release: all tests"
  ctest --preset release -j "$(nproc)"
fi
