#!/usr/bin/env bash
# Everything that must hold before a change lands. Each failure prints the command that mends it.
set -uo pipefail
cd "$(dirname "$0")/.."

# step NAME MEND COMMAND...: run the command; on failure say how to mend it.
step() {
	local name=$1 mend=$2 started=$SECONDS
	shift 2
	printf '\n== %s\n' "$name"
	if ! "$@"; then
		printf '\nverify: %s failed. %s\n' "$name" "$mend" >&2
		exit 1
	fi
	printf -- '-- %s: %d s\n' "$name" $((SECONDS - started))
}

# unchanged COMMAND...: the command must leave the checkout as it is.
unchanged() {
	local before after
	before=$(git status --porcelain; git diff)
	"$@" || return 1
	after=$(git status --porcelain; git diff)
	if [ "$before" != "$after" ]; then
		git --no-pager diff --stat
		return 1
	fi
}

# static: what ships is static, and no program links what its place in the layout forbids.
static() {
	local bad=0 program
	for program in bin/[a-z]*; do
		case $program in */golangci-lint* | */gotestsum*) continue ;; esac
		if [ "$(LC_ALL=C od -An -N4 -c "$program" | tr -d ' ')" != '177ELF' ] || go version -m "$program" | grep -q 'CGO_ENABLED=1'; then
			echo "$program is not static"
			bad=1
		fi
	done
	for program in pilot wrapper harvester; do
		if go list -deps "./cmd/$program" | grep -E '^(go-hep\.org/x/hep|github\.com/danielgtaylor/huma|github\.com/jackc/pgx|github\.com/prometheus/client_golang|go\.opentelemetry\.io/otel)(/|$)'; then
			echo "cmd/$program links ROOT, a web framework, metrics or a database driver"
			bad=1
		fi
	done
	for program in pilot wrapper; do
		if go list -deps "./cmd/$program" | grep -E '^modernc\.org/sqlite(/|$)'; then
			echo "cmd/$program links a database driver"
			bad=1
		fi
	done
	for program in cmd/*/; do
		if [ "$program" != cmd/idds/ ] && go list -deps "./$program" | grep -E '^github\.com/jackc/pgx(/|$)'; then
			echo "$program links PostgreSQL's driver, which only idds may"
			bad=1
		fi
	done
	return $bad
}

started=$SECONDS
step 'go mod tidy' 'Run `make tidy` and commit the result.' unchanged make -s tidy
step 'format' 'Run `make fmt` and commit the result.' unchanged make -s fmt
step 'generate' 'Run `make generate` and commit the result.' unchanged make -s generate
step 'lint' 'Mend what is listed; `make lint` shows it again.' make -s lint
step 'tests' 'Mend them; `make test` runs them again.' make -s test
step 'race detector' 'Mend it; `make test/race` runs it again.' make -s test/race
step 'fuzzing, briefly' 'What was found lies in testdata/fuzz of its package; `make fuzz` looks further.' env FUZZTIME=2000x make -s fuzz
step 'real services' 'Mend it; `make test/integration` runs it again.' env REQUIRE_SERVICES=1 make -s test/integration
step 'build' 'Mend it; `make build` shows it again.' make -s build
step 'static' 'Look with `go list -deps ./cmd/PROGRAM` for who imports it.' static
step 'demo' 'Look into demo-out/logs; `make demo` runs it again.' make -s demo
printf '\nverify: all good in %d s\n' $((SECONDS - started))
