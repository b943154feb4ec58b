#!/usr/bin/env bash
# Fuzzes everything that parses, one target after the other. FUZZTIME=1m each, or a number of inputs, FUZZTIME=2000x: the end of a
# time can be taken for a failure ("context deadline exceeded", and no input is written), the end of a number cannot. What a target
# finds is written to the testdata of its package, where every later run of the tests tries it again.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		echo "== $(dirname "$file") $target"
		# Minimizing is bounded: by default a minute goes by in it, in which nothing new is tried.
		go test "$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 10x </dev/null
	done
done
