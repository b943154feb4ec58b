#!/usr/bin/env bash
# Requests of all kinds, good ones and bad ones, that Schemathesis makes from idds' OpenAPI document, on SQLite and on PostgreSQL: no failure
# of the server, and no answer that is not in the document. PostgreSQL is the one of TFPILOT_TEST_POSTGRES, or is started for it and stopped.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${TFPILOT_TEST_POSTGRES:-}" ]; then
	TFPILOT_SERVICES=$(mktemp -d "${TMPDIR:-/tmp}/tfpilot-services-XXXXXX")
	export TFPILOT_SERVICES TFPILOT_POSTGRES_PORT=0
	trap 'trap "" INT TERM HUP; scripts/services.sh down postgres' EXIT
	address=$(scripts/services.sh up postgres)
	export "${address?}"
fi
: "${TFPILOT_TEST_SCHEMATHESIS:=$(scripts/python.sh internal/e2e/testdata/api/requirements.txt)}"
export TFPILOT_TEST_SCHEMATHESIS REQUIRE_SERVICES=1 CGO_ENABLED=0
go test -tags integration -count=1 -timeout 20m -v -run '^TestIntegrationTheInterfaceIsWhatItsDocumentSays' ./internal/e2e
