#!/usr/bin/env bash
# The tests on real brokers (build tag integration). Brokers that run already, by `make services/up` or named by
# TFPILOT_TEST_ARTEMIS and TFPILOT_TEST_CLASSIC (host:port), are used and left running; else they are started for the tests, on
# free ports and with state of their own, and stopped whatever happens. The Python worker's clients come from PyPI, into a virtual
# environment that is kept (scripts/python.sh), unless TFPILOT_TEST_PYTHON names an interpreter that has them.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${TFPILOT_TEST_ARTEMIS:-}${TFPILOT_TEST_CLASSIC:-}" ]; then
	if ! addresses=$(scripts/services.sh status 2>/dev/null); then
		TFPILOT_SERVICES=$(mktemp -d "${TMPDIR:-/tmp}/tfpilot-services-XXXXXX")
		export TFPILOT_SERVICES TFPILOT_ARTEMIS_PORT=0 TFPILOT_CLASSIC_PORT=0
		trap 'scripts/services.sh down' EXIT
		addresses=$(scripts/services.sh up)
	fi
	while read -r line; do export "${line?}"; done <<<"$addresses"
fi
if [ -z "${TFPILOT_TEST_PYTHON:-}" ]; then
	TFPILOT_TEST_PYTHON=$(scripts/python.sh internal/e2e/testdata/peer/requirements.txt)
	export TFPILOT_TEST_PYTHON
fi
# Every package, so that none with the tag is forgotten; the others have no test of this name.
CGO_ENABLED=0 go test -tags integration -count=1 -timeout 10m -run '^TestIntegration' ./internal/... "$@"
