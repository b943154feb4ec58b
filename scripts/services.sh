#!/usr/bin/env bash
# Real services on this machine, for tests and for trying things out, as any user, on loopback only: the brokers Apache ActiveMQ
# Artemis and ActiveMQ Classic, one java process each, users panda/panda and admin/admin (docs/brokers.md says how they are set
# up), and whole batch systems of a few nodes that this machine plays: Slurm 22.05 of Debian 12 with accounting, Slurm 24.11 of
# Debian 13 without, HTCondor 23.9 of Debian 13; the database PostgreSQL; the storage XRootD, without and with tokens; and
# Keycloak, an issuer of access tokens.
#
#   scripts/services.sh up | stop | kill | down | status [artemis] [classic] [slurm] [slurm24] [condor] [postgres] [xrootd] [keycloak]
# (without names `up` is about the brokers, the others about all that have been started)
#
# TFPILOT_SERVICES       folder of all state (default .services in the checkout); only `down` removes it
# TFPILOT_NAME_PORT      port of the service NAME: STOMP of Artemis (default 62613) and Classic (62614), of Slurm's controller,
#                        with the six after it for the rest (a free one), of PostgreSQL (62632), of XRootD's first server, with the
#                        two after it for the others (61094), of Keycloak (62680); 0: a free one
# TFPILOT_CACHE          where downloads are kept (default ~/.cache/tfpilot)
# ARTEMIS_HOME           an unpacked Artemis distribution to use instead of the download
#
# `up` waits until the services answer and prints where they are, as TFPILOT_TEST_NAME=... lines: host:port of a broker, the
# URL of a database or an issuer, the folder of a batch system, whose bin/ has its commands, or of XRootD; one that runs already is left alone. `stop` ends them in good order,
# `kill` with KILL, and an `up` after either goes on with their messages and jobs, on the same port. `down` removes these. Only
# what `up` has started is ended; a batch system takes with it whatever its jobs have left.
set -euo pipefail
cd "$(dirname "$0")/.."

state=$(realpath -m "${TFPILOT_SERVICES:-.services}")
cache=${TFPILOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tfpilot}
files=$PWD/scripts/services

fail() { echo "services: $*" >&2; exit 1; }

# need COMMAND-OR-FILE PACKAGE...: installs the packages when it is not there, or says how.
need() {
	if [ -e "$1" ] || command -v "$1" >/dev/null; then return; fi
	shift
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		fail "install $* first: apt-get update && apt-get install -y --no-install-recommends $*"
	fi
	echo "services: installing $*" >&2
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >"$state/apt.log" 2>&1 ||
		{ tail -n 5 "$state/apt.log" >&2; fail "installing $* with apt-get; $state/apt.log"; }
}

# open PORT: somebody listens.
open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: of one that has `ports` free ones, itself the first.
free_port() {
	local first port
	for _ in $(seq 100); do
		first=$((20000 + RANDOM % 12000)) # below what the kernel gives to clients
		for ((port = first; port < first + ports; port++)); do
			if open "$port"; then continue 2; fi
		done
		echo "$first"
		return
	done
	fail 'found no free port'
}

# A service is a file in scripts/services that says what is its own:
#   default_port, ports    how many it takes, from its port on
#   start                  starts it in a session of its own and leaves its process in $!
#   answers                it can be used
#   address                what its users need to know
#   quit                   asks it to end in good order; by default TERM to its processes
# They find its name in $name, its folder in $dir and its port in $port.
load() {
	name=$1 dir=$state/$1 ports=1
	[[ $name =~ ^[a-z0-9]+$ && -e $files/$name.sh ]] || usage
	address() { echo "127.0.0.1:$port"; }
	quit() { kill -- "-$(pid)" 2>/dev/null || true; }
	# shellcheck source=/dev/null
	. "$files/$name.sh"
	port=TFPILOT_${name^^}_PORT
	port=${!port:-$(cat "$dir/port" 2>/dev/null || echo "$default_port")}
}

# answers_stomp: it speaks STOMP and lets our user in.
answers_stomp() {
	local line
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf 'CONNECT\naccept-version:1.2\nhost:localhost\nlogin:panda\npasscode:panda\n\n\0' >&3
	read -r -t 2 line <&3 || true
	exec 3>&-
	[ "$line" = CONNECTED ]
} 2>/dev/null

# pid: of the service's process group, when it is ours and alive.
pid() {
	local group
	group=$(cat "$dir/pid" 2>/dev/null) || return 1
	# The number may have been given to somebody else meanwhile: our processes name the state folder.
	pgrep -g "$group" -f -- "$dir" >/dev/null && echo "$group"
}

# up: starts it unless it runs, and waits until it answers.
up() {
	if pid >/dev/null; then
		port=$(cat "$dir/port")
	else
		mkdir -p "$dir"
		if [ "$port" = 0 ]; then port=$(cat "$dir/port" 2>/dev/null || free_port); fi
		if open "$port"; then fail "port $port is taken; set TFPILOT_${name^^}_PORT to another, or to 0 for a free one"; fi
		echo "$port" >"$dir/port"
		start
		echo "$!" >"$dir/pid"
	fi
	local try=0 until=$((SECONDS + 120))
	while [ "$SECONDS" -lt "$until" ]; do
		try=$((try + 1))
		if answers; then
			echo "TFPILOT_TEST_${name^^}=$(address)"
			return
		fi
		# A process that has just been forked does not have its group and name yet.
		pid >/dev/null || [ "$try" -lt 20 ] || break
		sleep 0.1
	done
	tail -n 20 "$dir/out.log" | cut -c1-300 >&2
	fail "$name does not answer on port $port; $dir/out.log"
}

# stop: in good order, then with KILL.
stop() {
	pid >/dev/null || fail "no $name of $state runs"
	quit
	gone || kill -KILL -- "-$(pid)" 2>/dev/null || true
}

# kill9: as a crash would.
kill9() {
	local group
	group=$(pid) || fail "no $name of $state runs"
	kill -KILL -- "-$group" 2>/dev/null || true
	gone || fail "$name does not end"
}

# gone: waits until it is, and its port free.
gone() {
	for _ in $(seq 200); do
		if ! pid >/dev/null && ! open "$(cat "$dir/port")"; then return 0; fi
		sleep 0.1
	done
	return 1
}

# down: ends it; its folder goes too.
down() {
	if pid >/dev/null; then stop; fi
	rm -rf "${dir:?}" || return 1
	rm -f "$state/apt.log"
	rmdir "$state" 2>/dev/null || true
}

status() {
	if pid >/dev/null && port=$(cat "$dir/port") && answers; then
		echo "TFPILOT_TEST_${name^^}=$(address)"
	else
		echo "services: $name is down" >&2
		return 1
	fi
}

usage() {
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' scripts/services.sh >&2
	exit 2
}

what=${1:-}
shift || true
if [ $# = 0 ] && [ "$what" != up ]; then
	for folder in "$state"/*/; do
		service=$(basename "$folder")
		if [ -e "$files/$service.sh" ]; then set -- "$@" "$service"; fi
	done
fi
[ $# -gt 0 ] || set -- artemis classic
result=0
for service in "$@"; do
	load "$service"
	case $what in
	up)
		mkdir -p "$state"
		need pgrep procps
		up
		;;
	stop) stop ;;
	kill) kill9 ;;
	down) (down) || result=1 ;; # the others are ended all the same
	status) status || result=1 ;;
	*) usage ;;
	esac
done
exit $result
