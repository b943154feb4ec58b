#!/usr/bin/env bash
# What containers are tested with, in a folder that is kept, whose name is printed: a Debian root as the image (root/), and the runtimes
# (bin/, to be put first in PATH): bubblewrap and podman of this machine's Debian, and Apptainer, which only Debian's unstable suite has
# and which therefore runs on a root of its own.
#
# What is missing on this machine is installed, as root. TFPILOT_CACHE is where it is kept (default ~/.cache/tfpilot,
# /var/cache/tfpilot where that is root's alone).
set -euo pipefail
cd "$(dirname "$0")"

cache=${TFPILOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tfpilot}
mkdir -p "$cache"
# An ordinary user, as whom root tries it too, has to come in.
if [ "$(id -u)" = 0 ] && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$cache/."; then
	cache=/var/cache/tfpilot
fi
dir=$cache/containers
missing=()
for program in bwrap:bubblewrap podman:podman crun:crun; do
	type -P "${program%:*}" >/dev/null || missing+=("${program#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "containers: install ${missing[*]}: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"; } >&2
fi
# The image is another Debian than this machine's: what is found in it is really its own.
services/trixie-fetch.sh "$dir/debian" base-files python3-minimal procps
touch "$dir"/debian/root/etc/{passwd,group,hosts,resolv.conf} # as every image has them; what is in them is the node's
SUITE=sid services/trixie-fetch.sh "$dir/sid" apptainer

# Apptainer gets what a machine has that it is installed on, and room for what is bound.
sid=$dir/sid/root
if [ ! -e "$sid/etc/localtime" ]; then
	cp /etc/passwd /etc/group /etc/hosts /etc/nsswitch.conf "$sid/etc/"
	touch "$sid/etc/resolv.conf"
	# As root it would ask for rights that root may not have in a container of its own.
	sed -i 's/^root default capabilities = .*/root default capabilities = no/' "$sid/etc/apptainer/apptainer.conf"
	cp /usr/share/zoneinfo/Etc/UTC "$sid/etc/localtime"
fi
own=" bin boot dev etc lib lib32 lib64 libx32 proc sbin sys usr var " # of the root, or mounted below
binds=()
for host in /*; do
	if [ -d "$host" ] && [[ $own != *" ${host#/} "* ]]; then
		mkdir -p "$sid$host"
		binds+=(--bind "$host" "$host")
	fi
done
mkdir -p "$sid$dir" "$dir/bin"
binds+=(--bind "$dir" "$dir") # the image, wherever it is kept
program() { # written beside its place: another one may be running it
	cat >"$dir/bin/$1.$$"
	chmod 755 "$dir/bin/$1.$$"
	mv "$dir/bin/$1.$$" "$dir/bin/$1"
}
program apptainer <<END2
#!/bin/sh
exec bwrap --bind '$sid' / --dev-bind /dev /dev --bind /proc /proc --bind /sys /sys ${binds[@]@Q} --ro-bind-try /etc/resolv.conf /etc/resolv.conf /usr/bin/apptainer "\$@"
END2
# podman 4 with this crun takes no half of a second version of control groups, and neither sets limits that it may not set.
cat >"$dir/containers.conf" <<END2
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "file"
END2
program podman <<END2
#!/bin/sh
export CONTAINERS_CONF='$dir/containers.conf'
exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec /usr/bin/podman "\$@"' podman "\$@"
END2
chmod o+x "$dir" # other users run what is in it
echo "$dir"
