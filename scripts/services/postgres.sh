# PostgreSQL of the Debian package, listening on loopback alone: database idds of user panda/panda, superuser admin/admin. It
# refuses to run as root, and runs as the package's user postgres then.

default_port=62632

as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid=postgres --regid=postgres --init-groups --)

# programs: the folder of the newest PostgreSQL.
programs() { find /usr/lib/postgresql -path '*/bin/postgres' -printf '%h\n' 2>/dev/null | sort -V | tail -n 1; }

start() {
	local bin
	[ -n "$(programs)" ] || need /no/postgresql postgresql
	bin=$(programs)
	if [ ! -d "$dir/data" ]; then
		if [ "$(id -u)" = 0 ]; then
			chmod a+x "$state" "$dir"
			chown postgres "$dir"
		fi
		"${as[@]}" test -w "$dir" || fail "the user postgres cannot reach $dir; set TFPILOT_SERVICES to a folder that it can"
		make_database "$bin" >"$dir/initdb.log" 2>&1 || fail "making a database; $dir/initdb.log"
	fi
	settle
	setsid "${as[@]}" "$bin/postgres" -D "$dir/data" -c listen_addresses=127.0.0.1 -c "port=$port" -c unix_socket_directories= \
		>"$dir/out.log" 2>&1 </dev/null &
}

# settle: after a KILL of the first process the others, in groups of their own, end by themselves. Its lock names it, and while it is
# not reaped yet it would be taken for alive.
settle() {
	[ -e "$dir/data/postmaster.pid" ] || return 0
	for _ in $(seq 100); do
		if ! find /proc/[0-9]*/cwd -maxdepth 0 -lname "$dir/data" 2>/dev/null | grep -q .; then
			rm -f "$dir/data/postmaster.pid"
			return
		fi
		sleep 0.1
	done
	fail "processes of an earlier postgres still work on $dir/data"
}

# make_database PROGRAMS: it appears whole or not at all.
make_database() {
	rm -rf "$dir/new"
	echo admin >"$dir/password"
	"${as[@]}" "$1/initdb" -D "$dir/new" --username=admin --pwfile="$dir/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 || return 1
	printf "CREATE ROLE panda LOGIN PASSWORD 'panda'\nCREATE DATABASE idds OWNER panda\n" |
		"${as[@]}" "$1/postgres" --single -D "$dir/new" postgres || return 1
	mv "$dir/new" "$dir/data"
}

answers() { PGPASSWORD=panda PGCONNECT_TIMEOUT=2 "$(programs)/psql" -X -q -h 127.0.0.1 -p "$port" -U panda -d idds -c 'SELECT 1' >/dev/null 2>&1; }

address() { echo "postgres://panda:panda@127.0.0.1:$port/idds"; }

# Only its first process is asked: it ends the others, in good order.
quit() { kill -INT "$(cat "$dir/pid")" 2>/dev/null || true; }
