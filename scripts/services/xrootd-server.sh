#!/usr/bin/env bash
# One XRootD server in the foreground, on loopback alone: root:// and http:// of DIR/export on one port, ended by a signal, or
# when whoever started it ends.
#
#   scripts/services/xrootd-server.sh DIR PORT anon|unix|token
#
# token: roots:// and https:// with a certificate of DIR/pki/cadir (X509_CERT_DIR), for tokens of xrootd-token.py only; DIR/token
# reads and writes everything for a day. The issuer's public key lies in the server's own cache, so that no web server is asked for it.
# As root, which XRootD refuses to run as, it becomes the user xrootd of the package.
set -euo pipefail
dir=$(realpath -m "$1") port=$2 mode=$3
files=$(dirname "$(realpath "$0")")
umask 022

# authority: makes the certificates, whole or not at all.
authority() {
	local new=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
	rm -rf "$dir/pki.new"
	mkdir -p "$dir/pki.new/cadir"
	cd "$dir/pki.new"
	openssl req -x509 "${new[@]}" -keyout ca.key -out ca.pem -days 30 -subj '/CN=tfpilot test CA'
	openssl req "${new[@]}" -keyout host.key -out host.csr -subj /CN=localhost
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >host.ext
	openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile host.ext -out host.pem
	openssl ecparam -name prime256v1 -genkey -noout -out token.key
	chmod 600 ./*.key
	cp ca.pem cadir/
	openssl rehash cadir
	cd "$dir"
	mv -T pki.new pki
}

mkdir -p "$dir"/{export,admin,run,log,cache/scitokens}
sed "s|@DIR@|$dir|g; s|@PORT@|$port|g" "$files/xrootd.cfg" >"$dir/xrootd.cfg"
if [ "$mode" = token ]; then
	[ -d "$dir/pki" ] || authority >"$dir/pki.log" 2>&1 || { tail -n 5 "$dir/pki.log" >&2; exit 1; }
	cat >"$dir/scitokens.cfg" <<-'END'
		[Global]
		audience = https://xrd.example, https://wlcg.cern.ch/jwt/v1/any
		[Issuer test]
		issuer = https://issuer.example
		base_path = /
	END
	python3 "$files/xrootd-token.py" "$dir" --trust
	(umask 077; python3 "$files/xrootd-token.py" "$dir" 'read:/ write:/' >"$dir/token.new")
	mv "$dir/token.new" "$dir/token"
fi
as=()
if [ "$(id -u)" = 0 ]; then
	chown -R xrootd: "$dir"
	as=(--reuid=xrootd --regid=xrootd --init-groups)
fi
cd "$dir"
exec setpriv "${as[@]}" --pdeathsig=KILL env HOME="$dir" XDG_CACHE_HOME="$dir/cache" \
	xrootd -c "$dir/xrootd.cfg" -n "$mode" -l "$dir/log/xrootd.log"
