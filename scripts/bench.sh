#!/usr/bin/env bash
# The numbers of docs/benchmarks.md. Machines are shared and noisy: compare ratios within one run. COUNT=n repeats each.
set -euo pipefail
cd "$(dirname "$0")/.."

# run PACKAGE BENCHTIME REGEXP
run() {
	CGO_ENABLED=0 timeout 1800 go test "./$1" -run '^$' -bench "$3" -benchtime "$2" -count "${COUNT:-1}" -benchmem -timeout 30m | grep -E '^(Benchmark|---|FAIL|panic)'
}

echo '# whole programs'
run internal/e2e 40000x '^BenchmarkNoopSlices$'
run internal/e2e 1s '^BenchmarkSubscribed$'
run internal/e2e 1x '^Benchmark(Binary|Demo|ReconstructSTF)$'
echo '# a command payload against a bare fork and exec'
run wrapper 1000x .
echo '# looking at eight payloads, in per cent of a core'
GOMAXPROCS=1 run internal/keeper 1x '^BenchmarkWatching$'
echo '# reconstruction and time-frame files'
run payload/tfreco 1s .
run internal/stf 1s .
echo '# the ledger'
run idds/sqlite 20000x .
run idds 20000x '^BenchmarkTake$'
echo '# both stores: a minute of 5,000 results/s; a million slices (PostgreSQL where TFPILOT_TEST_POSTGRES names one)'
run idds 60x '^BenchmarkSteady$'
run internal/e2e 60x '^BenchmarkIngest$'
run internal/e2e 60x '^BenchmarkWatchers$'
run internal/e2e 1x '^BenchmarkMillionSlices$'
echo '# the harvester: a look at 1,000 tracked workers'
run harvester 100x .
echo '# the STOMP session on the embedded broker'
run internal/stomp 1s .
run internal/broker 50000x '^BenchmarkPassage$'
