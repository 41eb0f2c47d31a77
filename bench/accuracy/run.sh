#!/bin/sh
# How accurate the detector is beside the published ones; --help says more. Compiles what it needs
# into a temporary folder, checks the peers against their published figures, then measures.
# Exits 0 whatever the figures are, 1 where a peer is not reproduced, 2 for a wrong argument,
# 3 where it could not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../src

trace='' next='' rc=0
for a; do
	[ "$next" ] && trace=$a
	next=''
	case $a in
	--tr*=*) trace=${a#*=} ;;
	--tr*) next=1 ;; # getopt takes abbreviations
	esac
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
flags="-std=c17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes
	-Wmissing-prototypes -Wvla ${CFLAGS:-}"
cc=${CC:-gcc}
compile()
{
	to=$1
	shift
	(cd "$here" && $cc $flags -Werror -I"$src" -I. -o "$tmp/$to" "$@" -lm) || exit 3
}
# A library, so that only those files are linked that the detector needs.
for c in "$src"/localize/*.c "$src"/base/units.c; do
	$cc $flags -Wno-unused-parameter -I"$src" -c -o "$tmp/$(basename "$c" .c).o" "$c" || exit 3
done
ar rcs "$tmp/localize.a" "$tmp"/*.o
compile accuracy accuracy.c alarms.c compare.c curve.c generate.c interval.c ours.c peers.c \
	recorded.c recording.c sheet.c study.c synthetic.c trace.c "$tmp/localize.a"

if [ "$trace" ]; then
	compile check-peers check-peers.c peers.c trace.c
	"$tmp/check-peers" "$trace" >"$tmp/peers" || rc=$?
	# Talk, so that stdout stays the page.
	cat "$tmp/peers" >&2
	if [ "$rc" -ne 0 ]; then
		[ "$rc" -ne 1 ] || echo "accuracy: not all peers are reproduced" >&2
		exit "$rc"
	fi
fi
"$tmp/accuracy" --recorded "$here/recorded" "$@" || rc=$?
exit "$rc"
