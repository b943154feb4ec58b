// Package xrootdtest starts real XRootD servers for tests: root:// and http:// on one port of loopback, without authentication, with
// the name of a user, or with TLS and tokens. A server is up in a tenth of a second, so that every test has its own to kill, freeze
// and start again.
//
// A server is what scripts/services/xrootd-server.sh says; it ends with its test, and with the test's process whatever ends that.
package xrootdtest
