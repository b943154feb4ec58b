#!/usr/bin/env bash
# Debian 13 packages, unpacked into a folder, on a Debian machine that need not be one: HTCondor, a newer Slurm, and what is in
# containers for tests.
#
#   scripts/services/trixie-fetch.sh DIR PACKAGE...     DIR/root has them with all that they depend on, to be run in bubblewrap
#
# Any user. An apt root of its own resolves and downloads, no maintainer script runs, nothing of the host is touched. What is
# there already is not fetched again. MIRROR names another mirror than the one that this machine uses, SUITE another suite of Debian:
# of one that changes every day, a mirror that is not made anew every day is taken all the same (its signature is checked as always).
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
dir=$(realpath -m "$1")
shift
suite=${SUITE:-trixie}
wanted="$*"
if [ "$(cat "$dir/packages" 2>/dev/null)" = "$wanted" ]; then exit; fi

fail() { echo "trixie-fetch: $*" >&2; exit 1; }
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/*$')} || fail 'no Debian mirror in the configuration of apt; set MIRROR'

# All is made beside its place and moved there when it is whole: two may do this at once, and one may be interrupted.
mkdir -p "$(dirname "$dir")"
making=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$making"' EXIT
mkdir -p "$making"/{root,apt/etc/apt.conf.d,apt/etc/preferences.d,apt/lists/partial,apt/archives/partial}
: >"$making/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$making/apt/sources.list"
cat >"$making/apt/apt.conf" <<END
Dir::Etc "$making/apt/etc";
Dir::Etc::sourcelist "$making/apt/sources.list";
Dir::State::Lists "$making/apt/lists";
Dir::State::status "$making/apt/status";
Dir::Cache "$making/apt";
Dir::Log "$making/apt";
Acquire::Languages "none";
APT::Install-Recommends "false";
Debug::NoLocking "true";
END
if [ "$suite" = sid ]; then echo 'Acquire::Check-Valid-Until "false";' >>"$making/apt/apt.conf"; fi
if [ "$(id -u)" = 0 ]; then echo 'APT::Sandbox::User "root";' >>"$making/apt/apt.conf"; fi
export APT_CONFIG=$making/apt/apt.conf
echo "trixie-fetch: downloading $wanted" >&2
# bash and the rest of the line are what a pool's own scripts and jobs need.
{ apt-get -q update && apt-get -q -y --download-only install "$@" bash dash coreutils sed grep hostname; } >"$making/apt.log" 2>&1 ||
	{ tail -n 5 "$making/apt.log" >&2; fail "downloading $wanted from $mirror"; }
for deb in "$making"/apt/archives/*.deb; do dpkg-deb -x "$deb" "$making/root"; done
# Debian chooses among alternatives in a maintainer script.
for program in slurmctld slurmd slurmdbd slurmstepd; do
	if [ -e "$making/root/usr/sbin/$program-wlm" ]; then ln -sf "$program-wlm" "$making/root/usr/sbin/$program"; fi
done
rm -rf "$making/apt"
echo "$wanted" >"$making/packages"
chmod 755 "$making" # other users run what is in it
if ! mv -T "$making" "$dir" 2>/dev/null; then
	if [ "$(cat "$dir/packages" 2>/dev/null)" = "$wanted" ]; then exit; fi # somebody was faster
	rm -rf "${dir:?}"
	mv -T "$making" "$dir"
fi
trap - EXIT
