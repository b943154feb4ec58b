# Slurm of Debian 13, unpacked beside the host's own software, without accounting.

. "$files/slurm.sh"
accounting=no
root=$cache/slurm24/root

packages() {
	need bwrap bubblewrap
	"$files/trixie-fetch.sh" "$cache/slurm24" slurmctld slurmd slurm-client munge util-linux
}
