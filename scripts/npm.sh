#!/usr/bin/env bash
# Prints the folder of a package of the npm registry, unpacked once and kept. Nothing of it is run, and nothing that it asks for is fetched.
#
#   scripts/npm.sh PACKAGE VERSION SHA256
#
# SHA256          of its archive; another one is refused
# TFPILOT_CACHE   where it is kept (default ~/.cache/tfpilot)
set -euo pipefail

package=$1 version=$2 sum=$3
cache=${TFPILOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tfpilot}
folder=$cache/npm-$package-$version-${sum:0:16}
if [ ! -d "$folder" ]; then
	if ! command -v npm >/dev/null; then
		if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
			echo 'npm: install npm first: apt-get update && apt-get install -y --no-install-recommends npm' >&2
			exit 1
		fi
		echo 'npm: installing npm' >&2
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends npm; } >&2
	fi
	mkdir -p "$cache"
	making=$(mktemp -d "$cache/making.XXXXXX") # two may do this at once, and one may be interrupted
	trap 'rm -rf "$making"' EXIT
	archive=$(cd "$making" && npm pack --silent "$package@$version")
	echo "$sum  $making/$archive" | sha256sum --check --quiet >&2 || { echo "npm: $package $version is not what was looked at" >&2; exit 1; }
	mkdir "$making/new"
	tar -xzf "$making/$archive" -C "$making/new" --strip-components 1
	mv -T "$making/new" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
