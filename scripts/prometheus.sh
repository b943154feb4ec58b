#!/usr/bin/env bash
# Prints a folder with prometheus and promtool of Debian 13, which is kept.
#
# TFPILOT_CACHE   where (default ~/.cache/tfpilot)
set -euo pipefail

dir=${TFPILOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tfpilot}/prometheus
"$(dirname "$0")/services/trixie-fetch.sh" "$dir" prometheus
echo "$dir/root/usr/bin"
