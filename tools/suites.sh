#!/bin/sh
# suites.sh check|test|nightly: runs the suites, each within its budget (seconds), and adds up.
# The last line is "N passed, N failed"; a suite over its budget counts as a failure.
set -u
cd "$(dirname "$0")/.." || exit 3
mode=$1
build=${RESIN_BUILD:-$PWD/build}
export RESIN_BUILD="$build"
passed=0 failed=0
began=$(date +%s)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a command, counts "N passed" and "N failed" of its output (cmocka's PASSED and FAILED, too).
suite() { # NAME BUDGET COMMAND...
	name=$1 budget=$2
	shift 2
	printf '== %s\n' "$name"
	start=$(date +%s)
	"$@" >"$log" 2>&1
	status=$?
	took=$(($(date +%s) - start))
	p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p; s/.*[^0-9]\([0-9][0-9]*\) passed.*/\1/p; s/^\([0-9][0-9]*\) passed.*/\1/p' "$log" |
		awk '{n += $1} END {print n + 0}')
	f=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p; s/.*[^0-9]\([0-9][0-9]*\) failed.*/\1/p; s/^\([0-9][0-9]*\) failed.*/\1/p' "$log" |
		awk '{n += $1} END {print n + 0}')
	[ $status = 0 ] || [ "$f" != 0 ] || f=1
	[ "$p" != 0 ] || [ "$f" != 0 ] || p=1
	if [ $status != 0 ]; then
		tail -150 "$log"
	else
		grep -E 'SKIP|NEEDS|THIS KERNEL|^fuzz|^lint' "$log"
	fi
	if [ $took -gt "$budget" ]; then
		echo "   over its budget of $budget s"
		f=$((f + 1))
	fi
	echo "   $name: $p passed, $f failed, $took s (budget $budget s)"
	passed=$((passed + p))
	failed=$((failed + f))
}

build_all() {
	meson setup --reconfigure "$build" --werror >/dev/null && ninja -C "$build"
}

unit() { # BUILD_DIR
	status=1 # none at all is a failure
	for t in "$1"/tests/unit/test-*; do
		[ -f "$t" ] && [ -x "$t" ] && status=0
	done
	for t in "$1"/tests/unit/test-*; do
		[ -f "$t" ] && [ -x "$t" ] || continue
		"$t" || status=1
	done
	return $status
}

unit_sanitized() {
	[ -e build-asan/build.ninja ] ||
		meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 >/dev/null || return 1
	ninja -C build-asan >/dev/null || return 1
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 unit build-asan
}

unit_valgrind() {
	status=0
	for t in base model os wire collect pivot track history diagnose ticket ingest serve; do
		valgrind --quiet --error-exitcode=9 --leak-check=full "$build/tests/unit/test-$t" || status=1
	done
	return $status
}

# In a process namespace of its own, where that is possible: what else runs on this machine has no
# part in the test, and nothing is left behind.
e2e() { # TEST...
	set -- /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -rs "$@"
	if [ "$(id -u)" = 0 ] && unshare --pid --fork --mount-proc true 2>/dev/null; then
		set -- unshare --pid --fork --mount-proc --kill-child "$@"
	fi
	"$@"
}

suite build 240 build_all
suite unit 60 unit "$build"
case $mode in
check)
	suite lint 60 tools/lint.sh fast
	;;
test)
	suite unit-asan 240 unit_sanitized
	suite cli 60 e2e tests/e2e/test_cli.py
	suite detect 200 e2e tests/e2e/test_detect.py
	suite attach 300 e2e tests/e2e/test_attach.py
	suite agent 150 e2e tests/e2e/test_agent.py
	suite weeks 90 e2e tests/e2e/test_weeks.py
	suite page 60 e2e tests/e2e/test_page.py
	suite leak-caught 330 e2e tests/e2e/test_leak_caught.py
	suite accuracy 120 bench/accuracy/run.sh --fleets 2
	suite fuzz 180 tools/fuzz.sh 8
	;;
nightly)
	suite unit-valgrind 600 unit_valgrind
	RESIN_SEEDS=$(awk 'BEGIN {srand(); for (i = 0; i < 10; i++) printf "%d ", 1 + rand() * 999999}')
	export RESIN_SEEDS
	suite leak-caught-10 1500 e2e tests/e2e/test_leak_caught.py
	unset RESIN_SEEDS
	suite accuracy 1200 bench/accuracy/run.sh --fleets 100
	suite fuzz-long 600 tools/fuzz.sh 60
	;;
*)
	echo "suites.sh: check, test or nightly" >&2
	exit 2
	;;
esac
total=$(($(date +%s) - began))
limit=1500
[ "$mode" != check ] || limit=180
[ "$mode" != nightly ] || limit=7200
if [ $total -gt $limit ]; then
	echo "over the limit of $limit s"
	failed=$((failed + 1))
fi
echo "$mode took $total s (limit $limit s)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
