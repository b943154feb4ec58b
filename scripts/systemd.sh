#!/usr/bin/env bash
# Runs a command on a machine of its own that has systemd as its first process: this machine's file system under a layer that is thrown
# away at the end, with processes, network (loopback alone), cgroups and journal of its own. For trying services out; needs root and systemd.
#
#   scripts/systemd.sh [-b FOLDER]... COMMAND [ARGUMENT...]
#
# -b FOLDER   seen there too, read-only; the checkout always is. The command runs in the folder that this was called in
# Its exit status is that of the command. Nothing that the command starts outlives it.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)

fail() { echo "systemd: $*" >&2; exit 125; }

if [ "${1:-}" != --inside ]; then
	[ "$(id -u)" = 0 ] || fail 'needs root'
	if [ ! -x /lib/systemd/systemd ] || ! command -v ip pgrep nsenter >/dev/null; then
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends systemd iproute2 procps util-linux; } >/dev/null ||
			fail 'install systemd, iproute2, procps and util-linux first'
	fi
	# Mounts are made where nobody else sees them.
	exec unshare --mount --propagation private -- "$0" --inside "$@"
fi
shift
see=("$checkout" "$PWD")
while [ "${1:-}" = -b ]; do see+=("$(realpath "$2")") && shift 2; done
[ $# -gt 0 ] || fail 'which command?'

dir=$(mktemp -d "${TMPDIR:-/tmp}/tfpilot-systemd-XXXXXX")
# Not named as the groups of pilots: a pilot that starts takes away those whose owner is gone, and this one has no process at first.
first='' group=$dir/cgroup/machine-${dir##*-}
finish() {
	trap '' INT TERM HUP
	[ -z "$first" ] || kill -KILL "$first" 2>/dev/null || true # with the first process of a machine all others end
	[ -z "$first" ] || while kill -0 "$first" 2>/dev/null; do sleep 0.05; done
	for _ in $(seq 100); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
		sleep 0.05
	done
	umount "$dir/cgroup" "$dir" 2>/dev/null || umount -l "$dir"
	rmdir "$dir"
}
trap finish EXIT
mount -t tmpfs tmpfs "$dir"
mkdir "$dir"/{cgroup,above,work,root}
mount -t cgroup2 cgroup2 "$dir/cgroup"
mkdir "$group"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/above,workdir=$dir/work" "$dir/root"
for folder in "${see[@]}"; do
	mkdir -p "$dir/root$folder"
	mount --bind "$folder" "$dir/root$folder"
	mount -o remount,bind,ro "$dir/root$folder"
done

# boot: in namespaces of its own; becomes the first process.
boot() {
	cd "$dir/root"
	mount -t proc proc proc
	mount --bind proc/sys proc/sys
	mount -o remount,bind,ro proc/sys # what is set there holds for the whole machine
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs run
	mount -t tmpfs -o mode=755 tmpfs dev
	mkdir dev/pts dev/shm
	mount -t tmpfs -o mode=1777 tmpfs dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	for file in null zero full random urandom tty; do
		touch "dev/$file"
		mount --bind "/dev/$file" "dev/$file"
	done
	# Nothing of what this machine would start, and nothing that reaches below its kernel.
	local unit units=etc/systemd/system
	for unit in systemd-{sysctl,modules-load,udevd,udev-trigger,tmpfiles-setup,tmpfiles-setup-dev,binfmt,random-seed,sysusers,timesyncd}.service \
		systemd-udevd-{kernel,control}.socket proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount sys-kernel-{config,debug,tracing}.mount; do
		ln -sf /dev/null "$units/$unit"
	done
	printf '[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n' >"$units/tfpilot-machine.target"
	mkdir -p etc/systemd/journald.conf.d
	printf '[Journal]\nStorage=volatile\n' >etc/systemd/journald.conf.d/tfpilot-machine.conf
	ip link set lo up
	pivot_root . mnt
	cd /
	umount -l /mnt
	exec env -i container=tfpilot PATH="$PATH" /lib/systemd/systemd --unit=tfpilot-machine.target --log-target=journal
}
export -f boot
export dir
(
	echo "$BASHPID" >"$group/cgroup.procs"
	exec unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child bash -euc boot </dev/null >"$dir/boot.log" 2>&1
) &
above=$!
inside() { nsenter --target "$first" --all --wd="$PWD" -- "$@"; }
for _ in $(seq 600); do
	kill -0 "$above" 2>/dev/null || { cat "$dir/boot.log" >&2; fail 'the machine did not start'; }
	first=$(pgrep -P "$above") || true
	if [ -n "$first" ] && state=$(inside systemctl is-system-running 2>/dev/null) || [ "${state:-}" = degraded ]; then break; fi
	sleep 0.1
done
case ${state:-} in
running | degraded) ;;
*) cat "$dir/boot.log" >&2 && fail "the machine is ${state:-not there} after a minute" ;;
esac
inside "$@"
