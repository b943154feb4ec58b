#!/usr/bin/env bash
# PAYLOAD_NAME: works on a slice, a range of time frames of one file. A process is started for every slice.
set -euo pipefail

# fail ends with a status that says what a failure means (docs/payloads.md). The last line on stderr stands in its message.
fail() {
    echo "$2" >&2
    exit "$1"
}

[ -r "$TFPILOT_INPUT" ] || fail 20 "cannot read $TFPILOT_INPUT" # data_missing

# This is the place for your own work: frames $TFPILOT_FIRST to $TFPILOT_LAST, both inclusive and counted from 0. The current
# folder is the slice's own, and empty.
frames=$((TFPILOT_LAST - TFPILOT_FIRST + 1))
bytes=$(($(wc -c <"$TFPILOT_INPUT")))
[ "$bytes" -gt 0 ] || fail 21 "$TFPILOT_INPUT is empty" # data_corrupt
echo "frames $TFPILOT_FIRST to $TFPILOT_LAST of $bytes bytes" >summary.txt

printf '{"req_id": "%s", "counts": {"frames": %d, "bytes": %d}, "outputs": [{"name": "summary.txt"}]}\n' \
    "$TFPILOT_REQ_ID" "$frames" "$bytes" >"$TFPILOT_RESULT"
echo "counted $frames frames" # for people
