#!/bin/sh
# Does the forecast's 80 % interval hold the truth four times in five? forecast.sh [FLEETS]
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Isrc -Ibench/accuracy -o "$tmp/forecast" \
	bench/accuracy/forecast.c bench/accuracy/generate.c src/localize/judge.c src/localize/track.c \
	src/localize/fit.c src/localize/norm.c src/localize/season.c src/model/detection.c \
	src/model/suspect.c src/base/units.c -lm
"$tmp/forecast" "$@"
