# Apache ActiveMQ Artemis, from Maven Central, one java process.

default_port=62613
version=2.40.0
sha512=270a00dc3028fb3b93c6aa09aa3e40fbe76015029e5308e0aac241589299a72dac9bb50a10e7e86ad66185e2d8bc7224626810df12f1ee05694322054ad32700

answers() { answers_stomp; }

start() {
	local home=${ARTEMIS_HOME:-$cache/apache-artemis-$version}
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
