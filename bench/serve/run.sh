#!/bin/sh
# What the end of an hour costs the server, without the disk: run.sh [HOSTS [PROCESSES [HOURS]]]
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
data=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$tmp" "$data"' EXIT
[ -e build/build.ninja ] || meson setup build >/dev/null
ninja -C build >/dev/null
# shellcheck disable=SC2046 # one word each
${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Isrc -o "$tmp/hours" bench/serve/hours.c \
	build/libserve.a build/libstore.a build/libingest.a build/liblocalize.a build/libpivot.a \
	build/libdiagnose.a build/libcampaign.a build/libticket.a build/libwire.a build/libmodel.a \
	build/libbase.a $(pkg-config --libs sqlite3 gnutls libmicrohttpd) -lm
"$tmp/hours" "${1:-990}" "${2:-100}" "${3:-6}" "$data"
