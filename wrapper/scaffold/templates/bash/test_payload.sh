#!/usr/bin/env bash
# Tests of the payload alone; `wrapper run` and `wrapper check` test it as a pilot runs it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TFPILOT_FIRST=0 TFPILOT_LAST=7 TFPILOT_REQ_ID=x TFPILOT_RESULT=$folder/result.json

TFPILOT_INPUT=$here/test/frames.stf bash "$here/payload.sh"
grep -q '"frames": 8' result.json || { echo "not 8 frames: $(cat result.json)" >&2; exit 1; }
[ -s summary.txt ] || { echo "no summary.txt" >&2; exit 1; }

status=0
TFPILOT_INPUT=$folder/none bash "$here/payload.sh" 2>/dev/null || status=$?
[ "$status" = 20 ] || { echo "status $status, not 20, for a file that is not there" >&2; exit 1; }
echo ok
