# Keycloak, from Maven Central, one java process on loopback without TLS, in its development mode: an issuer of access tokens, OpenID
# Connect, with the administrator admin/admin. Its name is that by which it is asked, so that it may be reached through a proxy. Realms
# and their keys outlast a `stop`.

default_port=62680
version=26.0.8
sha512=33afee05442825ceb4b921637f2a60373a553f85a8849ff370f894f369926063d1f23753fcf9bdab1f5e61c2b4a8c480a05e42638aa029f5aab6d3b8e2acde4b

start() {
	local archive=$cache/keycloak-quarkus-dist-$version.tar.gz unpacking
	need java openjdk-17-jre-headless
	if [ ! -d "$dir/keycloak" ]; then
		if ! sha512sum --check --status <<<"$sha512  $archive" 2>/dev/null; then
			need mvn maven
			mkdir -p "$cache"
			echo "services: downloading Keycloak $version" >&2
			mvn -q -B -C dependency:copy "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:tar.gz" \
				"-DoutputDirectory=$cache" -Dmdep.overWriteReleases=true >"$dir/mvn.log" 2>&1 ||
				{ tail -n 5 "$dir/mvn.log" >&2; fail "downloading Keycloak $version with mvn; $dir/mvn.log"; }
			sha512sum --check --quiet <<<"$sha512  $archive" >&2 || fail "$archive is not the Keycloak $version that was released"
		fi
		unpacking=$(mktemp -d "$dir/unpacking.XXXXXX") # its start writes into its own folder: each has one
		tar -xzf "$archive" -C "$unpacking"
		mv -T "$unpacking/keycloak-$version" "$dir/keycloak"
		rmdir "$unpacking"
	fi
	KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin JAVA_OPTS_KC_HEAP='-Xms128m -Xmx512m' JAVA_OPTS_APPEND='-XX:TieredStopAtLevel=1' \
		setsid "$dir/keycloak/bin/kc.sh" start-dev --http-host=127.0.0.1 --http-port="$port" >"$dir/out.log" 2>&1 </dev/null &
}

answers() {
	local line
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf 'GET /realms/master HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
	read -r -t 20 line <&3 || true
	exec 3>&-
	[[ $line == *' 200 '* ]]
} 2>/dev/null

address() { echo "http://127.0.0.1:$port"; }
