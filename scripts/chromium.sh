#!/usr/bin/env bash
# Prints what the control-room page is tested with, as lines NAME=VALUE: Debian's browser, which is installed when it is missing, as root, and
# axe-core of npm, which examines pages for what keeps people from using them. TFPILOT_CACHE is where the latter is kept
# (default ~/.cache/tfpilot).
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo 'chromium: install it first: apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core' >&2
		exit 1
	fi
	echo 'chromium: installing it' >&2
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install chromium fonts-dejavu-core; } >&2
fi
echo "TFPILOT_TEST_CHROMIUM=$(command -v chromium)"
echo "TFPILOT_TEST_AXE=$(scripts/npm.sh axe-core 4.14.1 e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745)/axe.min.js"
