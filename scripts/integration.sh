#!/usr/bin/env bash
# The tests on real services (build tag integration): brokers, batch systems, a database, storage and an issuer of tokens, and on a disk that hangs; and those of payload/acts. When
# some services are named by TFPILOT_TEST_ARTEMIS, TFPILOT_TEST_CLASSIC (host:port), TFPILOT_TEST_SLURM, _SLURM24, _CONDOR or
# _XROOTD (a folder) or _POSTGRES or _KEYCLOAK (a URL), as scripts/services.sh prints them, the tests are on those; when all run already in its state folder, on these, and they are left running;
# else all are started for the tests, on free ports and with state of their own, and stopped whatever happens. Python packages come from
# PyPI, into virtual environments that are kept (scripts/python.sh): the Python worker's clients, unless TFPILOT_TEST_PYTHON names an
# interpreter that has them, what payload/acts is made of, unless TFPILOT_TEST_ACTS does, pyzmq, unless TFPILOT_TEST_PYZMQ does, and
# Schemathesis, unless TFPILOT_TEST_SCHEMATHESIS does, and the clients of iDDS and PanDA, unless TFPILOT_TEST_PRODUCTION does. An image and the runtimes of containers come from Debian (scripts/containers.sh),
# unless TFPILOT_TEST_CONTAINERS names them, and so does Prometheus (scripts/prometheus.sh), unless TFPILOT_TEST_PROMETHEUS does.
# The services of systemd run on a machine of their own, as root (scripts/systemd.sh).
# A browser for the page comes from Debian and axe-core from npm (scripts/chromium.sh), unless TFPILOT_TEST_CHROMIUM and TFPILOT_TEST_AXE name
# them; what was seen is kept in the folder TFPILOT_SCREENSHOTS (default screenshots in the checkout).
set -euo pipefail
cd "$(dirname "$0")/.."

services=(artemis classic slurm slurm24 condor postgres xrootd keycloak)
# A second Ctrl-C of somebody impatient must not leave any of them.
stop_services() {
	trap '' INT TERM HUP
	scripts/services.sh down "${services[@]}"
}
named=$(compgen -v TFPILOT_TEST_ | grep -vxE 'TFPILOT_TEST_(PYTHON|ACTS|PYZMQ|SCHEMATHESIS|CONTAINERS|CHROMIUM|AXE|PROMETHEUS|PRODUCTION)' || true)
if [ -z "$named" ]; then
	if ! addresses=$(scripts/services.sh status "${services[@]}" 2>/dev/null); then
		TFPILOT_SERVICES=$(mktemp -d "${TMPDIR:-/tmp}/tfpilot-services-XXXXXX")
		export TFPILOT_SERVICES TFPILOT_ARTEMIS_PORT=0 TFPILOT_CLASSIC_PORT=0 TFPILOT_POSTGRES_PORT=0 TFPILOT_XROOTD_PORT=0 TFPILOT_KEYCLOAK_PORT=0
		trap stop_services EXIT
		addresses=$(scripts/services.sh up "${services[@]}")
	fi
	while read -r line; do export "${line?}"; done <<<"$addresses"
fi
if [ -z "${TFPILOT_TEST_PYTHON:-}" ]; then
	TFPILOT_TEST_PYTHON=$(scripts/python.sh internal/e2e/testdata/peer/requirements.txt)
	export TFPILOT_TEST_PYTHON
fi
if [ -z "${TFPILOT_TEST_ACTS:-}" ]; then
	TFPILOT_TEST_ACTS=$(payload/acts/install)
	export TFPILOT_TEST_ACTS
fi
if [ -z "${TFPILOT_TEST_PYZMQ:-}" ]; then
	TFPILOT_TEST_PYZMQ=$(scripts/python.sh payload/eicrecon/testdata/requirements.txt)
	export TFPILOT_TEST_PYZMQ
fi
if [ -z "${TFPILOT_TEST_CONTAINERS:-}" ]; then
	TFPILOT_TEST_CONTAINERS=$(scripts/containers.sh)
	export TFPILOT_TEST_CONTAINERS
fi
if [ -z "${TFPILOT_TEST_PRODUCTION:-}" ]; then
	TFPILOT_TEST_PRODUCTION=$(scripts/python.sh internal/e2e/testdata/production/requirements.txt)
	export TFPILOT_TEST_PRODUCTION
fi
if [ -z "${TFPILOT_TEST_SCHEMATHESIS:-}" ]; then
	TFPILOT_TEST_SCHEMATHESIS=$(scripts/python.sh internal/e2e/testdata/api/requirements.txt)
	export TFPILOT_TEST_SCHEMATHESIS
fi
if [ -z "${TFPILOT_TEST_CHROMIUM:-}" ] || [ -z "${TFPILOT_TEST_AXE:-}" ]; then
	browser=$(scripts/chromium.sh)
	while read -r line; do export "${line?}"; done <<<"$browser"
fi
export TFPILOT_SCREENSHOTS=${TFPILOT_SCREENSHOTS:-$PWD/screenshots}
if [ -z "${TFPILOT_TEST_PROMETHEUS:-}" ]; then
	TFPILOT_TEST_PROMETHEUS=$(scripts/prometheus.sh)
	export TFPILOT_TEST_PROMETHEUS
fi
# Every package, so that none with the tag is forgotten; the others have no test of this name.
packages=(./internal/... ./harvester/... ./pilot/... ./payload/... ./wrapper/... ./idds/... ./cmd/...)
flags=(-tags integration -count=1 -timeout 20m -run '^TestIntegration' "$@")
export CGO_ENABLED=0
if [ -n "${TESTS:-}" ]; then # how make runs tests
	$TESTS --packages "${packages[*]}" -- "${flags[@]}"
else
	go test "${flags[@]}" "${packages[@]}"
fi
