#!/usr/bin/env bash
# Checks every #include "cloze/..." against the ladder in CMakeLists.txt (its cloze_folder lines).
# Usage: check_layering.sh [SOURCE_DIR]; exit 1 and a line for each forbidden include.
set -euo pipefail
cd "${1:-.}"
find cloze \( -name '*.h' -o -name '*.cc' \) -print0 | sort -z | xargs -0 grep -HnoE '#include "cloze/[a-z_]+/' |
  awk -v ladder=CMakeLists.txt '
    BEGIN {
      while ((getline line < ladder) > 0)
        if (match(line, /^cloze_folder\([a-z_ ]+\)/)) {
          n = split(substr(line, 14, RLENGTH - 14), word, " ")
          known[word[1]] = 1
          for (i = 1; i <= n; i++) may[word[1], word[i]] = 1
        }
    }
    {
      split($0, part, ":"); split(part[1], path, "/")
      from = path[2]; to = part[3]; sub(/.*cloze\//, "", to); sub(/\/.*/, "", to)
      seen++
      if (!(from in known)) { print part[1] ": folder cloze/" from " stands in no cloze_folder line"; bad++ }
      else if (!((from, to) in may)) { print part[1] ":" part[2] ": cloze/" from " may not include cloze/" to; bad++ }
    }
    END {
      if (!seen) { print "no include was found: the check itself is broken"; exit 1 }
      if (bad) exit 1
      print seen " includes follow the ladder"
    }'
