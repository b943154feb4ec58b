package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stomp"
)

// connect finds the broker: the first of the addresses that lets us in, which is also the one that the service would take. The
// others are asked too: they have to be there when that one is not.
func (e *examination) connect(ctx context.Context) {
	var away []string
	var last error
	found, name := "", ""
	for i, addr := range e.cfg.Broker.Addrs {
		e.addr = addr
		conn, err := e.line(ctx)
		if err != nil {
			last = err
			away = append(away, err.Error())
			continue
		}
		said, _, _ := strings.Cut(cmp.Or(conn.Server(), "a broker that does not say which"), " ActiveMQ")
		version := conn.Version()
		_ = conn.Disconnect(ctx)
		which := ""
		if n := len(e.cfg.Broker.Addrs); n > 1 {
			which = fmt.Sprintf(", number %d of %d", i+1, n)
		}
		e.report.add("broker", OK, "", "%s%s: %s, STOMP %s", addr, which, said, version)
		if found == "" {
			found, name = addr, said
		}
	}
	if e.addr, e.name = found, name; found == "" {
		e.refused(away, last)
		return
	}
	for _, text := range away {
		e.report.add("broker", Warning, "the service goes on to the next address; see whether this one should be there", "%s", text)
	}
	e.security()
}

// refused says why no broker let us in.
func (e *examination) refused(away []string, last error) {
	text := strings.Join(away, "; ")
	if _, ok := errors.AsType[*tls.CertificateVerificationError](last); ok {
		e.report.problem("tls", exitcode.BadConfig, "name the authority that signed it by --broker-ca-file, or use the name that stands in it", "%s", text)
		return
	}
	if _, ok := errors.AsType[*stomp.ServerError](last); ok {
		e.report.problem("credentials", exitcode.NoCredential, "check TFPILOT_BROKER_LOGIN and TFPILOT_BROKER_PASSCODE, or [broker] login and passcode of the file", "%s", text)
		return
	}
	do := "check that it runs and that the address and port are right"
	if !e.cfg.Broker.TLS {
		do += "; a port that speaks TLS needs --broker-tls"
	}
	e.report.problem("broker", exitcode.NoBroker, do, "%s", text)
}

// security says what protects the connection.
func (e *examination) security() {
	host, _, _ := net.SplitHostPort(e.addr)
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case e.cfg.Broker.TLS:
		e.report.add("tls", OK, "", "the broker's certificate is that of %s, signed by an authority that we trust", host)
	case local:
		e.report.add("tls", NotChecked, "", "none on this machine's own loopback")
	default:
		e.report.add("tls", Warning, "use the broker's TLS port and --broker-tls", "the connection to %s is not encrypted: passcode and data can be read on the way", host)
	}
	if e.cfg.Broker.Login == "" {
		e.report.add("credentials", Warning, "give the broker users, and idds a login", "none were given, and the broker lets anybody in")
		return
	}
	e.report.add("credentials", OK, "", "the broker knows %q", e.cfg.Broker.Login)
}
