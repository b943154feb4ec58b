#!/usr/bin/env bash
# Real brokers on this machine, for tests and for trying things out: Apache ActiveMQ Artemis and ActiveMQ Classic, one java
# process each, as any user, on loopback only, users panda/panda and admin/admin. docs/brokers.md says how they are set up.
#
#   scripts/services.sh up | stop | kill | down | status [artemis] [classic]      (both by default)
#
# TFPILOT_SERVICES       folder of all state (default .services in the checkout); only `down` removes it
# TFPILOT_ARTEMIS_PORT   STOMP port of Artemis (default 62613; 0: a free one)
# TFPILOT_CLASSIC_PORT   STOMP port of Classic (default 62614; 0: a free one)
# TFPILOT_CACHE          where downloads are kept (default ~/.cache/tfpilot)
# ARTEMIS_HOME           an unpacked Artemis distribution to use instead of the download
#
# `up` waits until the brokers answer and prints their addresses as NAME=host:port lines; one that runs already is left alone.
# `stop` ends them in good order, `kill` with KILL, and an `up` after either goes on with their messages, on the same port.
# `down` removes these. Only what `up` has started is ended.
set -euo pipefail
cd "$(dirname "$0")/.."

state=$(realpath -m "${TFPILOT_SERVICES:-.services}")
cache=${TFPILOT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tfpilot}
version=2.40.0
sha512=270a00dc3028fb3b93c6aa09aa3e40fbe76015029e5308e0aac241589299a72dac9bb50a10e7e86ad66185e2d8bc7224626810df12f1ee05694322054ad32700
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

# pid NAME: of the broker's process group, when it is ours and alive.
pid() {
	local group
	group=$(cat "$state/$1/pid" 2>/dev/null) || return 1
	# The number may have been given to somebody else meanwhile: our processes name the state folder.
	pgrep -g "$group" -f -- "$state/$1" >/dev/null && echo "$group"
}

# open PORT: somebody listens.
open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# answers PORT: it speaks STOMP and lets our user in.
answers() {
	local line
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'CONNECT\naccept-version:1.2\nhost:localhost\nlogin:panda\npasscode:panda\n\n\0' >&3
	read -r -t 2 line <&3 || true
	exec 3>&-
	[ "$line" = CONNECTED ]
} 2>/dev/null

free_port() {
	local port
	for _ in $(seq 100); do
		port=$((20000 + RANDOM % 12000)) # below what the kernel gives to clients
		if ! open "$port"; then echo "$port"; return; fi
	done
	fail 'found no free port'
}

# up NAME PORT: starts it unless it runs, and waits until it answers.
up() {
	local name=$1 port=$2 dir=$state/$1
	if pid "$name" >/dev/null; then
		port=$(cat "$dir/port")
	else
		mkdir -p "$dir"
		if [ "$port" = 0 ]; then port=$(cat "$dir/port" 2>/dev/null || free_port); fi
		if open "$port"; then fail "port $port is taken; set TFPILOT_${name^^}_PORT to another, or to 0 for a free one"; fi
		echo "$port" >"$dir/port"
		"start_$name" "$dir" "$port" # leaves its process in $!
		echo "$!" >"$dir/pid"
	fi
	for try in $(seq 600); do
		if answers "$port"; then
			echo "TFPILOT_TEST_${name^^}=127.0.0.1:$port"
			return
		fi
		# A process that has just been forked does not have its group and name yet.
		pid "$name" >/dev/null || [ "$try" -lt 20 ] || break
		sleep 0.1
	done
	tail -n 20 "$dir/out.log" | cut -c1-300 >&2
	fail "$name does not answer on port $port; $dir/out.log"
}

start_artemis() {
	local dir=$1 port=$2 home=${ARTEMIS_HOME:-$cache/apache-artemis-$version}
	need java openjdk-17-jre-headless
	if [ ! -x "$home/bin/artemis" ]; then
		need mvn maven
		mkdir -p "$cache"
		local archive=$cache/apache-artemis-$version-bin.tar.gz unpacking
		if ! sha512sum --check --status <<<"$sha512  $archive" 2>/dev/null; then
			echo "services: downloading Artemis $version" >&2
			mvn -q -B -C dependency:copy "-Dartifact=org.apache.activemq:apache-artemis:$version:tar.gz:bin" \
				"-DoutputDirectory=$cache" -Dmdep.overWriteReleases=true >"$dir/mvn.log" 2>&1 ||
				{ tail -n 5 "$dir/mvn.log" >&2; fail "downloading Artemis $version with mvn; $dir/mvn.log"; }
			sha512sum --check --quiet <<<"$sha512  $archive" >&2 || fail "$archive is not the Artemis $version that was released"
		fi
		unpacking=$(mktemp -d "$cache/unpacking.XXXXXX") # two may do this at once
		tar -xzf "$archive" -C "$unpacking"
		mv -T "$unpacking/apache-artemis-$version" "$home" 2>/dev/null || [ -x "$home/bin/artemis" ] || fail "unpacking $archive"
		rm -rf "$unpacking"
	fi
	if [ ! -d "$dir/instance/etc" ]; then
		"$home/bin/artemis" create --silent --force --user admin --password admin --role amq --require-login \
			--no-autotune --no-web --nio "$dir/instance" >"$dir/create.log" 2>&1 || fail "creating an Artemis instance; $dir/create.log"
		printf 'admin = admin\npanda = panda\n' >"$dir/instance/etc/artemis-users.properties"
		echo 'amq = admin,panda' >"$dir/instance/etc/artemis-roles.properties"
		sed -i 's/-Xms[0-9]*[MG]/-Xms128M/; s/-Xmx[0-9]*[MG]/-Xmx1G/' "$dir/instance/etc/artemis.profile"
	fi
	sed "s/@PORT@/$port/" "$files/artemis-broker.xml" >"$dir/instance/etc/broker.xml"
	setsid "$dir/instance/bin/artemis" run >"$dir/out.log" 2>&1 </dev/null &
}

start_classic() {
	local dir=$1 port=$2
	need java openjdk-17-jre-headless
	need /usr/share/activemq/bin/activemq.jar activemq
	mkdir -p "$dir/data" "$dir/tmp" "$dir/conf"
	cp "$files/classic-broker.xml" "$files/classic-log4j.properties" "$dir/conf/"
	setsid java -Xms64m -Xmx512m "-Dtfpilot.port=$port" "-Djava.io.tmpdir=$dir/tmp" \
		-Dactivemq.home=/usr/share/activemq "-Dactivemq.base=$dir" "-Dactivemq.conf=$dir/conf" "-Dactivemq.data=$dir/data" \
		"-Dlog4j.configuration=file:$dir/conf/classic-log4j.properties" \
		-jar /usr/share/activemq/bin/activemq.jar start "xbean:file:$dir/conf/classic-broker.xml" >"$dir/out.log" 2>&1 </dev/null &
}

# end NAME: TERM, then KILL.
end() {
	local name=$1 group
	if group=$(pid "$name"); then
		kill -- "-$group" 2>/dev/null || true
		gone "$name" || kill -KILL -- "-$group" 2>/dev/null || true
	else
		fail "no $name of $state runs"
	fi
}

# kill9 NAME: as a crash would.
kill9() {
	local name=$1 group
	if group=$(pid "$name"); then
		kill -KILL -- "-$group" 2>/dev/null || true
		gone "$name" || fail "$name does not end"
	else
		fail "no $name of $state runs"
	fi
}

# gone NAME: waits until it is, and its port free.
gone() {
	for _ in $(seq 200); do
		if ! pid "$1" >/dev/null && ! open "$(cat "$state/$1/port")"; then return 0; fi
		sleep 0.1
	done
	return 1
}

# down NAME: ends it; its folder goes too.
down() {
	local name=$1
	if pid "$name" >/dev/null; then end "$name"; fi
	rm -rf "${state:?}/$name"
	rm -f "$state/apt.log"
	rmdir "$state" 2>/dev/null || true
}

status() {
	if pid "$1" >/dev/null && answers "$(cat "$state/$1/port")"; then
		echo "TFPILOT_TEST_${1^^}=127.0.0.1:$(cat "$state/$1/port")"
	else
		echo "services: $1 is down" >&2
		return 1
	fi
}

what=${1:-}
shift || true
result=0
for name in "${@:-artemis classic}"; do
	for name in $name; do
		case $what:$name in
		up:artemis) mkdir -p "$state"; up artemis "${TFPILOT_ARTEMIS_PORT:-$(cat "$state/artemis/port" 2>/dev/null || echo 62613)}" ;;
		up:classic) mkdir -p "$state"; up classic "${TFPILOT_CLASSIC_PORT:-$(cat "$state/classic/port" 2>/dev/null || echo 62614)}" ;;
		stop:artemis | stop:classic) end "$name" ;;
		kill:artemis | kill:classic) kill9 "$name" ;;
		down:artemis | down:classic) down "$name" ;;
		status:artemis | status:classic) status "$name" || result=1 ;;
		*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
		esac
	done
done
exit $result
