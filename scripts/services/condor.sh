# HTCondor of Debian 13, unpacked beside the host's own software: a pool of two machines, nodea and nodeb, with all daemons and
# jobs in one process namespace, which ends with it. In it everybody is the user "pilot", whoever starts it, since HTCondor
# runs no jobs of root. What $dir/local.config holds is added to the configuration.

default_port=0
root=$cache/condor/root

# Both machines are there, and the schedd takes jobs.
answers() {
	[ "$("$dir/bin/condor_status" -af Name | wc -l)" -ge 2 ] && "$dir/bin/condor_q" -totals >/dev/null
} 2>/dev/null

address() { echo "$dir"; }

# The master ends the jobs and the other daemons. It has left the group; it is the grandchild of the process that we started.
quit() { pgrep -P "$(pid)" | xargs -r pgrep -P | xargs -r kill 2>/dev/null || true; }

start() {
	need bwrap bubblewrap
	"$files/trixie-fetch.sh" "$cache/condor" condor
	mkdir -p "$dir"/{bin,local/{log,spool,execute,execute_b,run,lock}}
	{ sed "s|@DIR@|$dir|; s|@PORT@|$port|" "$files/condor.config"; cat "$dir/local.config" 2>/dev/null || true; } >"$dir/condor_config"
	echo "pilot:x:1000:1000::$dir:/bin/sh" >"$dir/passwd"
	echo 'pilot:x:1000:' >"$dir/group"
	# Without the machine's name every daemon waits five seconds for the name service.
	echo "127.0.0.1 $(uname -n) localhost" >"$dir/hosts"
	# A pool sees the files that everybody sees, but for its own version of /usr, and who is who. A file that covered one of the
	# host's /etc would be gone as soon as the host replaces that.
	local tool file view=(--unshare-user --uid 1000 --gid 1000 --bind / / --dev-bind /dev /dev --ro-bind "$root/usr" /usr --tmpfs /etc)
	for file in passwd group hosts; do view+=(--ro-bind "$dir/$file" "/etc/$file"); done
	for file in ssl resolv.conf nsswitch.conf localtime; do view+=(--ro-bind-try "/etc/$file" "/etc/$file"); done
	view+=(--setenv CONDOR_CONFIG "$dir/condor_config")
	for tool in "$root"/usr/bin/condor_*; do
		printf '#!/bin/sh\nexec bwrap %s %s "$@"\n' "${view[*]@Q}" "/usr/bin/${tool##*/}" >"$dir/bin/${tool##*/}"
		chmod 755 "$dir/bin/${tool##*/}"
	done
	setsid bwrap "${view[@]}" --proc /proc --unshare-pid /usr/sbin/condor_master -f >"$dir/out.log" 2>&1 </dev/null &
}
