#!/bin/sh
# fuzz.sh SECONDS: every libFuzzer target for that long. New finds stay in build-fuzz/.
# A crash that was found becomes a file in tests/fuzz/corpus/NAME, which every run replays.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
out=build-fuzz
mkdir -p $out
[ -e "${RESIN_BUILD:-build}/build-config.h" ] || { echo "build first: make build" >&2; exit 3; }
sources="src/base/*.c src/model/*.c src/wire/*.c src/os/proc.c src/os/elf.c src/os/remote.c src/store/record.c src/localize/*.c src/ingest/table*.c"
# shellcheck disable=SC2086
if [ ! -e $out/libfuzzed.a ] || [ -n "$(find src tests/fuzz -newer $out/libfuzzed.a -name '*.[ch]')" ]; then
	rm -f $out/*.o $out/libfuzzed.a
	printf '%s\n' $sources | xargs -P2 -I{} sh -c 'clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=all -I. -Isrc -Isrc/os/arch/x86_64 -c {} -o '$out'/$(echo {} | tr / _).o'
	ar rcs $out/libfuzzed.a $out/*.o
fi
passed=0 failed=0
for f in tests/fuzz/fuzz-*.c; do
	name=$(basename "$f" .c)
	clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-I. -Isrc -Isrc/os/arch/x86_64 "$f" $out/libfuzzed.a -lm -lgnutls -o "$out/$name"
	mkdir -p "$out/corpus-$name" "tests/fuzz/corpus/$name"
	if "$out/$name" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=4096 \
		-artifact_prefix="$out/$name-" "$out/corpus-$name" "tests/fuzz/corpus/$name" >"$out/$name.log" 2>&1; then
		passed=$((passed + 1))
		tail -1 "$out/$name.log" | sed "s/^/$name: /"
	else
		failed=$((failed + 1))
		echo "$name failed:"
		tail -40 "$out/$name.log"
	fi
done
echo "fuzz: $passed passed, $failed failed"
[ $failed = 0 ]
