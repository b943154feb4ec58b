#!/usr/bin/env bash
# The daemons of a Slurm pool, in the process namespace that services.sh has made for them.
#
#   slurm-daemons.sh DIR ACCOUNTING      what is written to DIR/control is done to one of them:
#                                          KILL slurmctld   a signal, by its name
#                                          START slurmctld  again
#                                          QUIT all         in good order those that keep something; then DIR/stopped is there
#
# They are munged, mariadbd, slurmdbd (the last two with ACCOUNTING=yes), slurmctld and the nodes n1 to n4.
set -uo pipefail
dir=$1 accounting=$2
user=$(id -un)
declare -A pids

start() {
	if [ -n "${pids[$1]:-}" ]; then wait "${pids[$1]}"; fi # it may still be ending
	case $1 in
	munged)
		rm -f "$dir/munge/socket"
		munged -F --force --num-threads=10 --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
			--pid-file="$dir/munge/pid" --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" &
		;;
	mariadbd)
		# Everybody who may open the socket is let in: those who may read this folder.
		mariadbd --no-defaults --user="$user" --datadir="$dir/mariadb" --socket="$dir/mariadb.socket" --skip-networking \
			--skip-grant-tables --innodb-buffer-pool-size=16M --innodb-log-file-size=8M --performance-schema=OFF >"$dir/log/mariadbd.log" 2>&1 &
		;;
	slurmdbd) MYSQL_UNIX_PORT=$dir/mariadb.socket slurmdbd -D & ;;
	slurmctld) slurmctld -D & ;;
	n*) slurmd -D -N "$1" & ;;
	esac
	pids[$1]=$!
}

# until COMMAND...: it succeeds, half a minute at most.
until_ok() {
	for _ in $(seq 600); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.05
	done
	echo "no success: $*"
}

quit() {
	local name
	for name in slurmctld slurmdbd mariadbd; do # what keeps something
		if [ -n "${pids[$name]:-}" ]; then
			kill "${pids[$name]}" && wait "${pids[$name]}"
		fi
	done
	touch "$dir/stopped"
}

start munged
until_ok test -S "$dir/munge/socket"
if [ "$accounting" = yes ]; then
	[ -d "$dir/mariadb/mysql" ] || mariadb-install-db --no-defaults --user="$user" --datadir="$dir/mariadb" \
		--skip-test-db --auth-root-authentication-method=normal >"$dir/log/mariadb-install-db.log" 2>&1
	start mariadbd
	until_ok test -S "$dir/mariadb.socket"
	start slurmdbd
	until_ok sacctmgr -n show cluster
	if [ -z "$(sacctmgr -n show cluster pool)" ]; then
		sacctmgr -i add cluster pool
		sacctmgr -i add account physics
		sacctmgr -i add user "$user" account=physics
	fi
	# Now and then slurmdbd does not see a user whom it has only just written down, until it is started again.
	for _ in 1 2 3; do
		if [ -n "$(sacctmgr -n show associations user="$user" format=user)" ]; then break; fi
		echo "slurmdbd knows no $user; starting it again"
		kill "${pids[slurmdbd]}"
		start slurmdbd
		until_ok sacctmgr -n show cluster
	done
fi
start slurmctld
for node in n1 n2 n3 n4; do start "$node"; done

exec 3<>"$dir/control" # open for writing too, so that it never ends
while read -r verb name <&3; do
	case $verb in
	START) start "$name" ;;
	QUIT) quit ;;
	*) kill "-$verb" "${pids[$name]:-none}" ;;
	esac
done
