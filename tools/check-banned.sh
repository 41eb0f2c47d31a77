#!/bin/sh
# Functions and habits that we do not want, each with the reason.
set -eu
cd "$(dirname "$0")/.."
bad=0
check() { # PATTERN FILES-ROOT REASON [EXCLUDE]
	if hits=$(grep -rnE "$1" $2 --include='*.[ch]' | grep -vE "${4:-^$}"); then
		printf '%s\n  %s\n' "$hits" "$3"
		bad=1
	fi
}
check '\b(strcpy|sprintf|vsprintf|gets|strtok|atoi|atol|sscanf)\(' 'src probe' 'no bound, no error, or hidden state'
check '\b(exit|abort|printf|perror)\(|fprintf\(stderr' 'src' 'only cmd/ ends the program or talks' '^src/cmd/|_exit\(|snprintf|vsnprintf|buf_printf'
check '\b(TODO|FIXME|XXX|HACK)\b' 'src probe' 'finish it, or write NEEDSWORK(name) with the decision to make'
check '[^[:print:][:space:]]' 'src probe' 'plain ASCII in code'
if git grep -nE '(^|[^a-z])/(work|root|home)/[a-z]' -- . ':!*.svg' ':!tools/check-banned.sh' ':!tools/run-host.sh'; then
	echo '  a path of somebody'"'"'s machine'
	bad=1
fi
# No mutable file-scope state outside cmd/: nothing of ours may land in .data or .bss.
for lib in "${RESIN_BUILD:-build}"/lib*.a; do
	[ -e "$lib" ] || continue
	if objdump -t "$lib" | awk '$3 == "O" && $4 ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && $4 !~ /rel\.ro/' | grep .; then
		echo "  $lib: mutable file-scope state outside cmd/"
		bad=1
	fi
done
if unguarded=$(find src probe -name '*.h' -exec grep -L '^#ifndef RESIN_' {} + | grep .); then
	echo "$unguarded: no include guard RESIN_..."
	bad=1
fi
exit $bad
