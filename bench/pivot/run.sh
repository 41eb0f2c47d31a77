#!/bin/sh
# Speed of localize and pivot, detection of the pivot: run.sh [TRACE.csv [TRIALS [MONTHS]]]. Ratios are of one run.
# Engine beside it: DuckDB, where npm has (or may get) it; else SQLite; RESIN_NODE_MODULES names a
# folder that has @duckdb/node-api already.
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cc="${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O2 -I. -Isrc"
room="src/pivot/pivot.c src/pivot/anomaly.c src/base/map.c src/base/buf.c"
$cc -o "$tmp/speed" bench/pivot/pivot-speed.c bench/accuracy/generate.c $room -lm
$cc -o "$tmp/detect" bench/pivot/pivot-detect.c bench/accuracy/generate.c bench/accuracy/trace.c $room -lm
$cc -Ibench/accuracy -o "$tmp/localize" bench/pivot/localize-speed.c bench/accuracy/generate.c \
	bench/accuracy/ours.c src/localize/fit.c src/localize/norm.c src/localize/season.c \
	src/localize/track.c -lm

"$tmp/localize"
"$tmp/speed" "$tmp/samples.csv"
if [ -z "${RESIN_NODE_MODULES:-}" ] && command -v npm >/dev/null; then
	(cd "$tmp" && npm install --silent --ignore-scripts @duckdb/node-api >/dev/null 2>&1) || :
	RESIN_NODE_MODULES=$tmp/node_modules
fi
if NODE_PATH=${RESIN_NODE_MODULES:-} node -e 'require("@duckdb/node-api")' 2>/dev/null; then
	NODE_PATH=$RESIN_NODE_MODULES node bench/pivot/engine.js "$tmp/samples.csv"
elif command -v sqlite3 >/dev/null; then
	echo "no DuckDB here: SQLite"
	sqlite3 -version
	sqlite3 :memory: <<-EOF
	CREATE TABLE s (component INTEGER, host INTEGER, bytes INTEGER);
	.import --csv --skip 1 $tmp/samples.csv s
	.timer on
	CREATE TABLE r AS SELECT component, fine, count(*) AS hosts FROM (
		SELECT component, host, CASE WHEN max(bytes) < 1048576 THEN 0
			ELSE 1 + CAST(floor((log2(max(bytes)) - 20) * 32) AS INTEGER) END AS fine
		FROM s GROUP BY component, host) GROUP BY component, fine;
	.timer off
	SELECT 'result: ' || count(*) || ' groups, ' || sum(hosts) ||
		' hosts, sum of bucket x hosts ' || sum(fine * hosts) FROM r;
	EOF
else
	echo "no engine to compare with: neither DuckDB nor SQLite"
fi

[ $# -eq 0 ] || "$tmp/detect" ramps "$1" "${2:-400}"
"$tmp/detect" clean "${3:-2200}"
