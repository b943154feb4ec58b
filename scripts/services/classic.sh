# Apache ActiveMQ Classic, of the Debian package, one java process.

default_port=62614

answers() { answers_stomp; }

start() {
	need java openjdk-17-jre-headless
	need /usr/share/activemq/bin/activemq.jar activemq
	mkdir -p "$dir/data" "$dir/tmp" "$dir/conf"
	cp "$files/classic-broker.xml" "$files/classic-log4j.properties" "$dir/conf/"
	setsid java -Xms64m -Xmx512m "-Dtfpilot.port=$port" "-Djava.io.tmpdir=$dir/tmp" \
		-Dactivemq.home=/usr/share/activemq "-Dactivemq.base=$dir" "-Dactivemq.conf=$dir/conf" "-Dactivemq.data=$dir/data" \
		"-Dlog4j.configuration=file:$dir/conf/classic-log4j.properties" \
		-jar /usr/share/activemq/bin/activemq.jar start "xbean:file:$dir/conf/classic-broker.xml" >"$dir/out.log" 2>&1 </dev/null &
}
