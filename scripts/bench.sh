#!/usr/bin/env bash
# The numbers of docs/benchmarks.md. Compare them as ratios within one run: machines are shared and noisy.
# BENCH=regexp selects, COUNT=n repeats.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=${BENCH:-.} count=${COUNT:-1}

run() { # run PACKAGE BENCHTIME NAMES...
	local package=$1 time=$2 name
	shift 2
	for name in "$@"; do
		[[ $name =~ $bench ]] || continue
		CGO_ENABLED=0 go test "./$package" -run '^$' -bench "^Benchmark$name\$" -benchtime "$time" -count "$count" -benchmem | grep -E '^(Benchmark|---|FAIL|panic)' || exit 1
	done
}

echo '# whole programs'
run internal/e2e 40000x NoopSlices
run internal/e2e 1s Subscribed
run internal/e2e 1x Binary Demo
echo '# the price of a process: command payload against a bare fork and exec'
run wrapper 1s .
echo '# the library below'
run internal/stomp 1s .
