#!/usr/bin/env bash
# Prints a Python interpreter that has the packages of a requirements file, in a virtual environment made for them once.
#
#   scripts/python.sh REQUIREMENTS [LINK]
#
# LINK            becomes a symbolic link to the environment
# TFPILOT_CACHE   where it is kept (default ~/.cache/tfpilot)
set -euo pipefail

requirements=$(realpath "$1")
cache=${TFPILOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tfpilot}
venv=$cache/python-$(sha256sum "$requirements" | cut -c1-16)
if [ ! -x "$venv/bin/python" ]; then
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
		if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
			echo 'python: install Python first: apt-get update && apt-get install -y --no-install-recommends python3-venv' >&2
			exit 1
		fi
		echo 'python: installing python3-venv' >&2
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; } >&2
	fi
	mkdir -p "$cache"
	making=$(mktemp -d "$cache/making.XXXXXX") # two may do this at once, and one may be interrupted
	trap 'rm -rf "$making"' EXIT
	python3 -m venv "$making"
	"$making/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >&2
	mv -T "$making" "$venv" 2>/dev/null || [ -x "$venv/bin/python" ]
fi
if [ $# -gt 1 ]; then
	ln -sfn "$venv" "$2"
fi
echo "$venv/bin/python"
