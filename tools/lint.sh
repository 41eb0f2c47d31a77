#!/bin/sh
# lint.sh fast|all: the linters. Every finding is an error. Ends with the number of checks.
set -u
cd "$(dirname "$0")/.." || exit 3
mode=${1:-fast}
build=${RESIN_BUILD:-build}
passed=0 failed=0

run() { # NAME COMMAND...
	name=$1
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf -- '--- %s\n%s\n' "$name" "$out" | head -60
	fi
}

sources() {
	find src probe tests/leakers tests/unit tests/fuzz -name '*.c'
}

check_format() {
	find src probe tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
}

check_headers() { # each one compiles alone
	find src probe -name '*.h' ! -name 'help-text.h' -print0 | xargs -0 -P2 -I{} sh -c '
		printf "#include \"%s\"\n" "$(echo {} | sed "s,^src/,,;s,^os/arch/x86_64/,,")" |
		gcc -std=gnu17 -D_GNU_SOURCE -I. -Isrc -Isrc/os/arch/x86_64 -I'"$build"' -Wall -fsyntax-only -xc - || exit 255'
}

check_cppcheck() {
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--error-exitcode=1 --suppressions-list=tools/cppcheck.txt -j2 -Isrc -I. \
		-Isrc/os/arch/x86_64 -D__x86_64__ -D_GNU_SOURCE src probe
}

check_tidy() {
	sources | grep -v '^tests' | xargs -P2 -n4 clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p "$build" 2>/dev/null
}

# Leaks belong to LeakSanitizer and the torture tests: gcc 12 takes every block that moves into a
# caller's struct for lost.
check_fanalyzer() {
	sources | grep -v '^tests' | xargs -P2 -I{} gcc -std=gnu17 -D_GNU_SOURCE -O1 -fanalyzer -Werror \
		-Wno-format-truncation -Wno-analyzer-malloc-leak -I. -Isrc -Isrc/os/arch/x86_64 -I"$build" -c {} -o /dev/null
}

check_man() {
	for f in man/*.[1578]; do
		out=$(groff -man -Tutf8 -ww -z "$f" 2>&1) && [ -z "$out" ] || {
			echo "$f: $out"
			return 1
		}
	done
}

run format check_format
run layers tools/check-layers.sh
run banned tools/check-banned.sh
run shellcheck sh -c 'shellcheck -S warning tools/*.sh bench/*.sh .ci/run'
run man check_man
run headers check_headers
if [ "$mode" = all ]; then
	run cppcheck check_cppcheck
	run clang-tidy check_tidy
	run gcc-fanalyzer check_fanalyzer
fi
echo "lint: $passed passed, $failed failed"
[ $failed = 0 ]
