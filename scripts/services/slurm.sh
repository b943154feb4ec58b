# Slurm of this Debian, with accounting. All of a pool is in one process namespace, which ends with it.

default_port=0
ports=6 # controller, four nodes, accounting
accounting=yes
root= # where another version is unpacked

answers() {
	# A node that does not answer is idle too, with a star.
	[ "$("$dir/bin/sinfo" -h -N -p all -o '%N %T' 2>/dev/null | grep -c ' idle$')" = 4 ] || # of one with jobs only the answer counts
		{ [ -e "$dir/ready" ] && "$dir/bin/squeue" -h >/dev/null 2>&1; } || return 1
	touch "$dir/ready"
}

address() { echo "$dir"; }

# The daemons that keep something end by themselves; the rest, and the jobs, end with the namespace.
quit() {
	rm -f "$dir/stopped"
	echo QUIT all >"$dir/control"
	for _ in $(seq 150); do
		if [ -e "$dir/stopped" ]; then break; fi
		sleep 0.1
	done
	kill -KILL -- "-$(pid)" 2>/dev/null || true
}

packages() {
	need bwrap bubblewrap
	need slurmctld slurmctld slurmd slurm-client munge
	need slurmdbd slurmdbd mariadb-server
}

start() {
	packages
	mkdir -p "$dir"/{bin,etc,log,munge,spool,state,tmp}
	rm -f "$dir/ready" "$dir/munge/socket" "$dir/control"
	mkfifo "$dir/control"
	[ -s "$dir/munge/key" ] || (umask 077; head -c 128 /dev/urandom >"$dir/munge/key")
	chmod 755 "$dir" "$dir/munge"
	local edit=(-e "s|@DIR@|$dir|g; s|@USER@|$(id -un)|g; s|@HOST@|$(hostname -s)|g; s|@PORT@|$port|g"
		-e "s|@NODE_PORTS@|$((port + 1))-$((port + 4))|g; s|@DBD_PORT@|$((port + 5))|g")
	# Where accounting is not asked, what ended is remembered for as long as a test may take to look.
	[ "$accounting" = yes ] || edit+=(-e '/^Accounting/d; s/^MinJobAge=.*/MinJobAge=300/')
	sed "${edit[@]}" "$files/slurm.conf" >"$dir/etc/slurm.conf"
	printf '#!/bin/sh\necho "export SLURM_CONF=%s"\n' "$dir/etc/slurm.conf" >"$dir/etc/task-prolog"
	chmod 755 "$dir/etc/task-prolog"
	(umask 077; sed "${edit[@]}" "$files/slurmdbd.conf" >"$dir/etc/slurmdbd.conf")
	# Nothing limits by control groups here; the older version does not know the word, and needs no file.
	if [ -n "$root" ]; then echo 'CgroupPlugin=disabled' >"$dir/etc/cgroup.conf"; fi
	# A pool sees the files that everybody sees, but for its own version of /usr.
	local command view=(--bind / / --dev-bind /dev /dev)
	if [ -n "$root" ]; then view+=(--ro-bind "$root/usr" /usr); fi
	for command in sbatch squeue scancel sacct sacctmgr sinfo scontrol sstat srun salloc; do
		{
			echo '#!/bin/sh'
			echo "export SLURM_CONF='$dir/etc/slurm.conf'"
			echo "exec ${root:+bwrap ${view[*]@Q}} /usr/bin/$command \"\$@\""
		} >"$dir/bin/$command"
		chmod 755 "$dir/bin/$command"
	done
	setsid bwrap "${view[@]}" --proc /proc --unshare-pid \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "HOME=$dir/tmp" "SLURM_CONF=$dir/etc/slurm.conf" \
		bash "$files/slurm-daemons.sh" "$dir" "$accounting" >"$dir/out.log" 2>&1 </dev/null &
}
