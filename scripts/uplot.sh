#!/usr/bin/env bash
# Fetches uPlot, the plotting library of the control-room page, into idds/dashboard/static/uplot, from where it is embedded. To be run
# for another version, with its sum; what it fetches is committed, and a test compares it with SHA256SUMS.
set -euo pipefail
cd "$(dirname "$0")/.."

from=$(scripts/npm.sh uplot 1.6.32 4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d)
to=idds/dashboard/static/uplot
mkdir -p "$to"
cp "$from/dist/uPlot.iife.min.js" "$from/dist/uPlot.min.css" "$from/LICENSE" "$to/"
(cd "$to" && sha256sum LICENSE uPlot.iife.min.js uPlot.min.css >SHA256SUMS)
