#!/usr/bin/env python3
"""Tokens for the server of `xrootd-server.sh DIR PORT token`. Needs the standard library and the openssl command only.

  xrootd-token.py DIR [SCOPE=read:/] [SECONDS=86400] [AUDIENCE=https://xrd.example] [wlcg]   prints a signed token (ES256)
  xrootd-token.py DIR --trust             puts the issuer's public key into the server's cache of keys (libSciTokens, SQLite)

A scope is "read:/folder" or "write:/folder", several with a space between them; with wlcg "storage.read:/folder" and the like.
SECONDS below 0 make an expired token."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
import time

ISSUER = "https://issuer.example"
folder, arguments = sys.argv[1], dict(enumerate(sys.argv[2:]))
key = folder + "/pki/token.key"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*command, data=b""):
    return subprocess.run(["openssl", *command], input=data, capture_output=True, check=True).stdout


if arguments.get(0) == "--trust":
    der = openssl("ec", "-in", key, "-pubout", "-outform", "DER")
    jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1", "x": b64(der[-64:-32]), "y": b64(der[-32:])}
    until = int(time.time()) + 365 * 86400
    cache = sqlite3.connect(folder + "/cache/scitokens/scitokens_cpp.sqllite")  # the library's own spelling
    cache.execute("CREATE TABLE IF NOT EXISTS keycache (issuer text UNIQUE PRIMARY KEY NOT NULL,keys text NOT NULL)")
    known = json.dumps({"jwks": {"keys": [jwk]}, "expires": until, "next_update": until})
    cache.execute("INSERT OR REPLACE INTO keycache VALUES (?,?)", (ISSUER, known))
    cache.commit()
    sys.exit()

now = int(time.time())
claims = {
    "iss": ISSUER, "sub": "pilot", "aud": arguments.get(2, "https://xrd.example"), "scope": arguments.get(0, "read:/"),
    "jti": os.urandom(8).hex(), "iat": now - 3600, "nbf": now - 3600, "exp": now + int(arguments.get(1, 86400)),
}
claims.update({"wlcg.ver": "1.0"} if arguments.get(3) == "wlcg" else {"ver": "scitoken:2.0"})
text = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT", "kid": "k1"}, claims))
der = openssl("dgst", "-sha256", "-sign", key, data=text.encode())
place, signature = 2, b""
for _ in range(2):  # a SEQUENCE of two INTEGERs becomes 2 x 32 bytes
    length = der[place + 1]
    signature += int.from_bytes(der[place + 2 : place + 2 + length], "big").to_bytes(32, "big")
    place += 2 + length
print(text + "." + b64(signature))
