# XRootD of the Debian package: three servers, each in a folder of its own with its export/, on ports one after the other: anon lets
# everybody in, unix asks for a user's name, token wants TLS and a token (xrootd-server.sh, xrootd-token.py).

default_port=61094
ports=3
modes=(anon unix token)

answers() {
	local i
	for i in "${!modes[@]}"; do open $((port + i)) || return 1; done
}

address() { echo "$dir"; }

start() {
	need xrootd xrootd-server xrootd-client xrootd-server-plugins xrootd-scitokens-plugins
	need /usr/lib/*/libXrdAccSciTokens-5.so xrootd-scitokens-plugins
	need xrdcp xrootd-client
	need python3 python3
	need openssl openssl
	if [ "$(id -u)" = 0 ]; then chmod a+x "$state" "$dir"; fi
	# shellcheck disable=SC2016
	setsid bash -c 'dir=$1 port=$2; shift 2; for mode; do "$0" "$dir/$mode" "$port" "$mode" & port=$((port + 1)); done; wait' \
		"$files/xrootd-server.sh" "$dir" "$port" "${modes[@]}" >"$dir/out.log" 2>&1 </dev/null &
}
