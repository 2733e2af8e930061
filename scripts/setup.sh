#!/usr/bin/env bash
# Installs the packages that Cloze needs to build, on Debian 12, as root or with sudo. Does nothing where all are there.
# Usage: scripts/setup.sh [sanitizers|bench]
#   sanitizers  also clang with its sanitizers and libFuzzer, for the presets asan and tsan
#   bench       also Google Benchmark and oneDNN, for the programs of bench/
set -euo pipefail
packages=(g++ cmake ninja-build pkg-config libfmt-dev libhwy-dev nlohmann-json3-dev libcli11-dev zlib1g-dev libicu-dev libeigen3-dev
          liblinear-dev libgtest-dev libgmock-dev libopenmpi-dev openmpi-bin)
case ${1:-} in
  "") ;;
  sanitizers) packages+=(clang libclang-rt-14-dev) ;;
  bench) packages+=(libbenchmark-dev libdnnl-dev) ;;
  *) echo "usage: scripts/setup.sh [sanitizers|bench]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: all packages are there"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root, or install sudo; missing packages: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: done"
