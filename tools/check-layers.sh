#!/bin/sh
# Every #include "room/..." under src/ must be allowed by src/layers, and only what is in
# src/os/arch/<cpu>/ may differ between processors.
set -eu
cd "$(dirname "$0")/.."
bad=0
for dir in src/*/; do
	room=$(basename "$dir")
	line=$(grep "^$room:" src/layers) || {
		echo "src/layers: no line for the room '$room'"
		bad=1
		continue
	}
	allowed=" $room ${line#*:} "
	case $allowed in *" * "*) continue ;; esac
	found=$(find "$dir" -name '*.[ch]' -exec grep -Hn '^#include "[a-z-]*/' {} + || true)
	while IFS= read -r hit; do
		[ -n "$hit" ] || continue
		used=$(printf '%s' "$hit" | sed 's/.*#include "\([a-z-]*\)\/.*/\1/')
		[ "$used" = probe ] && [ "$room" = snapshot ] && continue # probe/abi.h is the contract
		case $allowed in
		*" $used "*) ;;
		*)
			echo "$hit: the room '$room' may not know '$used' (src/layers)"
			bad=1
			;;
		esac
	done <<EOF
$found
EOF
done
# Pure stages: no clock, no files, no sockets.
for room in pivot localize diagnose campaign ticket model; do
	if grep -nE '#include <(time|fcntl|unistd|sys/socket|sys/stat|poll|curl/.*|sqlite3)\.?h?>' src/$room/*.[ch]; then
		echo "src/$room: a pure room must not reach the outside"
		bad=1
	fi
done
if grep -rnE '__x86_64__|__aarch64__|<cpuid.h>|<immintrin.h>' src probe --include='*.[ch]' | grep -v '/arch/'; then
	echo "what depends on the processor belongs into src/os/arch/<cpu>/"
	bad=1
fi
exit $bad
