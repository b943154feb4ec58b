package eicrecon_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/payload/eicrecon"
)

// The bytes of a libzmq REP socket, as they come over the line.
const (
	greeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ready = "\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x03REP\x08Identity\x00\x00\x00\x00"
	done  = `{"status":"completed"}`
	reply = "\x01\x00\x00\x16" + done
)

// peer answers whoever connects with these bytes, whatever is asked, and then hangs up, or is silent when quiet.
func peer(t *testing.T, quiet bool, text ...string) (path string) {
	t.Helper()
	path = filepath.Join(shortDir(t), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, strings.Join(text, ""))
		if !quiet {
			_ = conn.(*net.UnixConn).CloseWrite()
		}
		_, _ = io.Copy(io.Discard, conn) // until the other side has gone: a close with unread data is a reset
		_ = conn.Close()
	}()
	t.Cleanup(func() { _ = l.Close(); <-served })
	return path
}

// shortDir is a folder whose name leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eic") //nolint:usetesting // the name of a test is longer than that of a socket may be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestAReplyIsTakenAsLibzmqSendsIt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct{ sent, want string }{
		"at once":                         {greeting + ready + reply, done},
		"from a ROUTER":                   {greeting + "\x04\x1c\x05READY\x0bsocket-type\x00\x00\x00\x06ROUTER" + reply, done},
		"after a ping":                    {greeting + ready + "\x04\x07\x04PING\x00\x00" + reply, done},
		"of more than 255 bytes":          {greeting + ready + "\x01\x00\x02\x00\x00\x00\x00\x00\x00\x01\x2c" + long, long},
		"an empty one":                    {greeting + ready + "\x01\x00\x00\x00", ""},
		"with another one right after it": {greeting + ready + reply + reply, done},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := eicrecon.Ask(t.Context(), peer(t, false, c.sent), []byte("{}"))
			if err != nil || string(got) != c.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestWhatDoesNotSpeakTheProtocolIsToldApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent string
		want error
	}{
		"another protocol":             {"HTTP/1.1 400 Bad Request\r\n" + strings.Repeat("x", 64), eicrecon.ErrProtocol},
		"ZMTP 2":                       {strings.Replace(greeting, "\x03", "\x01", 1), eicrecon.ErrProtocol},
		"another security mechanism":   {strings.Replace(greeting, "NULL", "PLAI", 1), eicrecon.ErrProtocol},
		"a socket that answers nobody": {greeting + strings.Replace(ready, "REP", "PUB", 1), eicrecon.ErrProtocol},
		"an error instead of READY":    {greeting + "\x04\x0a\x05ERROR\x03bad", eicrecon.ErrProtocol},
		"a command of no length":       {greeting + "\x04\x00", eicrecon.ErrProtocol},
		"a property cut short":         {greeting + "\x04\x08\x05READY\xc8x", eicrecon.ErrProtocol},
		"a property too long":          {greeting + "\x04\x0c\x05READY\x01x\xff\xff\xff\xff", eicrecon.ErrProtocol},
		"a frame of 2^62 bytes":        {greeting + ready + "\x02\x40\x00\x00\x00\x00\x00\x00\x00", eicrecon.ErrProtocol},
		"unknown flags":                {greeting + ready + "\x40\x00", eicrecon.ErrProtocol},
		"a reply without its envelope": {greeting + ready + "\x00\x02{}", eicrecon.ErrProtocol},
		"a reply of three parts":       {greeting + ready + "\x01\x00\x01\x02{}\x00\x02{}", eicrecon.ErrProtocol},
		"commands without end":         {greeting + ready + strings.Repeat("\x04\x05\x04PING", 1000), eicrecon.ErrProtocol},
		"the end, at once":             {"", io.EOF},
		"the end in a greeting":        {greeting[:20], io.ErrUnexpectedEOF},
		"the end in a frame":           {greeting + ready + "\x01\x00\x00\x16{", io.ErrUnexpectedEOF},
		"the end in a length":          {greeting + ready + "\x02\x00", io.ErrUnexpectedEOF},
		"the end instead of a reply":   {greeting + ready, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := eicrecon.Ask(t.Context(), peer(t, false, c.sent), []byte("{}")); !errors.Is(err, c.want) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestNobodyWaitsLongerThanItsContext(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	over, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	if _, err := eicrecon.Ask(over, peer(t, true, ""), nil); !errors.Is(err, enough) {
		t.Errorf("for a connection: %v", err)
	}
	for name, sent := range map[string]string{
		"for a greeting": "", "for the rest of it": greeting[:10], "for READY": greeting, "for a reply": greeting + ready, "for the rest of a reply": greeting + ready + "\x01\x00\x00\x16",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
			if got, err := eicrecon.Ask(ctx, peer(t, true, sent), []byte("{}")); !errors.Is(err, enough) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// What the peer sends is a payload's: it must not take down the pilot, nor its memory.
func FuzzReply(f *testing.F) {
	f.Add([]byte(greeting + ready + reply))
	f.Add([]byte(greeting + ready + "\x04\x07\x04PING\x00\x00\x02\x00\x00\x00\x00\x00\x00\x01\x2c"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		defer func() { _ = ours.Close() }()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() {
			_, _ = theirs.Write(sent)
			_ = theirs.Close()
		}()
		got, err := eicrecon.AskOver(t.Context(), ours, []byte("{}"))
		if err == nil && !bytes.Contains(sent, got) {
			t.Errorf("%q", got)
		}
	})
}
