#!/usr/bin/env bash
# Installs what is missing, builds the fuzzers and runs them side by side, one a core.
# Usage: scripts/fuzz.sh [SECONDS_A_TARGET] [TARGET...]   (default 60 seconds, every target)
# Each begins with fuzz/corpus/TARGET and what it found before (build/asan/fuzz/corpus/TARGET), where new inputs go.
# Exits with 1 if there is a finding; its input stays in build/asan/fuzz/artifacts, with the command that shows it again.
#   scripts/fuzz.sh merge [TARGET...]   makes fuzz/corpus anew of itself and build/asan/fuzz/corpus, small
set -euo pipefail
cd "$(dirname "$0")/.."
# target: the longest input in bytes
declare -A longest=([config]=1536 [gzip]=512 [json]=512 [predict]=512 [safetensors]=1024 [tables]=512
                    [token_cache]=1024 [tokenizer]=128 [tokenizer_json]=1536 [transfer]=1536
                    [vocab]=1024)
seconds=60
merge=
case ${1:-} in
  merge) merge=1; shift ;;
  *[!0-9]*) ;;
  ?*) seconds=$1; shift ;;
esac
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(printf '%s\n' "${!longest[@]}" | sort)
for target in "${targets[@]}"; do
  [ -n "${longest[$target]:-}" ] ||
    { echo "usage: scripts/fuzz.sh [SECONDS|merge] [TARGET...]; targets: ${!longest[*]}" >&2; exit 2; }
done

scripts/setup.sh sanitizers
out=build/asan/fuzz
mkdir -p $out
echo "== fuzz: building"
cmake --preset asan >/dev/null
cmake --build --preset asan --target "${targets[@]/#/fuzz_}" >$out/build.log 2>&1 ||
  { grep -vE '^\[[0-9]+/[0-9]+\] ' $out/build.log; exit 1; }
# Stacks of allocations cost half of the speed; run a finding again without this to see them.
export ASAN_OPTIONS=malloc_context_size=0:quarantine_size_mb=16

run_target() {
  local target=$1 log=$out/$1.log begin=$SECONDS
  mkdir -p "$out/corpus/$target" "$out/artifacts/$target"
  "build/asan/bin/fuzz_$target" "$out/corpus/$target" "fuzz/corpus/$target" "-dict=fuzz/dict/$target.dict" \
    "-max_total_time=$seconds" "-max_len=${longest[$target]}" -entropic=0 -timeout=5 -rss_limit_mb=2048 \
    -print_final_stats=1 "-artifact_prefix=$out/artifacts/$target/" >"$log" 2>&1 && echo 0 >"$log.rc" || echo $? >"$log.rc"
  echo $((SECONDS - begin)) >"$log.seconds"
}

# The fewest files that cover all edges found so far, at most 150 files and 300 KB a target: the smallest are left out,
# which are found again in seconds. Seeds and inputs of old findings stay.
merge_target() {
  local target=$1 from=$out/corpus/$1 to=fuzz/corpus/$1
  local fresh=$out/merged/$target files=0 bytes=0 size
  rm -rf "$fresh" && mkdir -p "$fresh" "$to"
  "build/asan/bin/fuzz_$target" -set_cover_merge=1 -use_counters=0 "-max_len=${longest[$target]}" "$fresh" "$to" "$from" >"$out/$target.merge.log" 2>&1
  for file in $(ls -S "$fresh"); do
    size=$(stat -c %s "$fresh/$file")
    files=$((files + 1)) bytes=$((bytes + size))
    [ $files -le 150 ] && [ $bytes -le 300000 ] || break
    echo "$file"
  done >"$out/$target.merge.list"
  find "$to" -type f ! -name 'seed-*' ! -name 'found-*' -delete
  while read -r file; do cp "$fresh/$file" "$to/"; done <"$out/$target.merge.list"
  echo "$target: $(find "$to" -type f | wc -l) files, $(du -bs "$to" | cut -f1) bytes"
}

if [ -n "$merge" ]; then
  for target in "${targets[@]}"; do merge_target "$target"; done
  exit 0
fi

echo "== fuzz: ${#targets[@]} targets, $seconds seconds each"
for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
  run_target "$target" &
done
wait

stat_of() { grep -aoP "stat::$2: *\K[0-9]+" "$out/$1.log" | tail -n 1 || echo 0; }
findings=0
printf '%-15s %12s %12s %8s %8s  %s\n' target executions "a second" edges "new" finding
for target in "${targets[@]}"; do
  log=$out/$target.log finding=none
  if [ "$(cat "$log.rc")" -ne 0 ]; then
    findings=$((findings + 1))
    finding="exit $(cat "$log.rc")"
  fi
  executions=$(stat_of "$target" number_of_executed_units)
  edges=$(grep -aoP '^#\d+.* cov: \K\d+' "$log" | tail -n 1 || echo 0)
  taken=$(cat "$log.seconds")
  printf '%-15s %12s %12s %8s %8s  %s\n' "$target" "$executions" $((executions / (taken > 0 ? taken : 1))) "$edges" \
    "$(stat_of "$target" new_units_added)" "$finding"
done
for target in "${targets[@]}"; do
  [ "$(cat "$out/$target.log.rc")" -ne 0 ] || continue
  echo "== $target:"
  grep -aE '^fuzz/|/fuzz/[a-z_]+\.(h|cc):[0-9]+: |ERROR|SUMMARY|runtime error|what\(\)' "$out/$target.log" | cut -c1-500 | head -n 8 || true
  artifact=$(grep -aoP 'Test unit written to \K.*' "$out/$target.log" | tail -n 1 || true)
  echo "show it again: build/asan/bin/fuzz_$target ${artifact:-(no input was kept, see $out/$target.log)}"
done
[ $findings -eq 0 ] || exit 1
