#!/bin/sh
# What the goals ask of an oracle that may be wrong only once in 10,000 weeks. bound.sh [FLEETS]
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Isrc -Ibench/accuracy -o "$tmp/bound" \
	bench/accuracy/bound.c bench/accuracy/generate.c -lm
"$tmp/bound" "$@"
