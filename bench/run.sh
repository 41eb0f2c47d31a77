#!/bin/sh
# Every number that the README quotes, printed by the command it quotes. Ratios are of one run.
set -eu
cd "$(dirname "$0")/.."
export RESIN_BUILD="${RESIN_BUILD:-$PWD/build}"
exec /usr/bin/python3 -B bench/bench.py "$@"
