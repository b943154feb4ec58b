package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

const wrongPasscode = "s3cret-passcode"

// badBroker is somebody at an address who does with each connection as told.
func badBroker(tb testing.TB, conf *tls.Config, serve func(net.Conn)) (addr string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(tb, err)
	addr = ln.Addr().String()
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	background(tb, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
		for {
			nc, err := ln.Accept()
			if err != nil {
				return nil
			}
			context.AfterFunc(ctx, func() { _ = nc.Close() })
			go func() {
				defer func() { _ = nc.Close() }()
				serve(nc)
			}()
		}
	})
	return addr
}

// says answers the CONNECT, and hangs up.
func says(text string) func(net.Conn) {
	return func(nc net.Conn) {
		_, _ = nc.Read(make([]byte, 1<<12))
		_, _ = io.WriteString(nc, text)
	}
}

// neverEnds answers the CONNECT, and goes on with the same again and again, in pieces large enough to come to any bound at once.
func neverEnds(first, text string) func(net.Conn) {
	text = strings.Repeat(text, 1<<14/len(text))
	return func(nc net.Conn) {
		for _, err := io.WriteString(nc, first); err == nil; {
			_, err = io.WriteString(nc, text)
		}
	}
}

// login is the embedded broker with another passcode.
func login(tb testing.TB) (addr string) {
	tb.Helper()
	return serveBroker(tb, stompd.Config{Users: map[string]string{"worker": "another"}})
}

// dropsPackets is an address at which nobody answers, as behind a firewall: its queue of connections is full.
func dropsPackets(tb testing.TB) (addr string) {
	tb.Helper()
	fd, addr := testkit.Bound(tb)
	must(tb, syscall.Listen(fd, 0))
	for {
		nc, err := net.DialTimeout("tcp", addr, 200*time.Millisecond) //nolint:noctx // to this machine
		if err != nil {
			return addr
		}
		tb.Cleanup(func() { _ = nc.Close() })
	}
}

// secured is how a broker speaks TLS with a certificate that is good until a time, and the authority that signed it.
func secured(tb testing.TB, until time.Time) (conf *tls.Config, ca string) {
	tb.Helper()
	ca, key := certificate(tb, tb.TempDir(), time.Now().Add(-48*time.Hour), until)
	pair, err := tls.LoadX509KeyPair(ca, key)
	must(tb, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, ca //nolint:gosec // a test's
}

func TestABadBrokerIsNamedInOneLineWithTheExitStatusOfItsClass(t *testing.T) {
	t.Parallel()
	expired, expiredFile := secured(t, time.Now().Add(-time.Hour))
	selfSigned, _ := secured(t, time.Now().Add(time.Hour))
	greets := "CONNECTED\nversion:1.2\n\n\x00"
	for _, c := range []struct {
		name, addr string
		status     int
		want       string
		ssl, ca    string
	}{
		{"wrong password", login(t), 50, `the broker refuses the login "worker"`, "false", ""},
		{"repeats the password", badBroker(t, nil, says("ERROR\nmessage:no "+wrongPasscode+"\n\n"+wrongPasscode+"\x00")), 42, "broker refused: no ***", "false", ""},
		{"an echo", badBroker(t, nil, func(nc net.Conn) { _, _ = io.Copy(nc, nc) }), 40, "the answer to CONNECT is CONNECT", "false", ""},
		{"expired certificate", badBroker(t, expired, says(greets)), 51, "certificate has expired", "true", expiredFile},
		{"self-signed certificate", badBroker(t, selfSigned, says(greets)), 51, "certificate", "true", ""},
		{"no TLS there", badBroker(t, nil, says(greets)), 51, "TLS", "true", ""},
		{"TLS where there should be none", badBroker(t, selfSigned, says(greets)), 40, "", "false", ""},
		{"no such host", "no-such-host.invalid:61613", 40, "", "false", ""},
		{"nobody there", testkit.Nobody(t), 40, "connection refused", "false", ""},
		{"drops packets", dropsPackets(t), 40, "no answer yet", "false", ""},
		{"accepts and says nothing", badBroker(t, nil, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }), 40, "no answer yet", "false", ""},
		{"answers HTTP", badBroker(t, nil, says("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n")), 40, "", "false", ""},
		{"answers garbage", badBroker(t, nil, says("\x1b[2J\xff\xfe\x00\x01\x02garbage\n\n\x00")), 40, "", "false", ""},
		{"an endless header", badBroker(t, nil, neverEnds("CONNECTED\n", "x:y\n")), 40, "larger than allowed", "false", ""},
		{"an endless line", badBroker(t, nil, neverEnds("", "CONNECTED")), 40, "", "false", ""},
		{"endless beats", badBroker(t, nil, neverEnds("", "\n")), 40, "no answer yet", "false", ""},
		{"accepts and closes", badBroker(t, nil, func(net.Conn) {}), 40, "", "false", ""},
		{"lets in and closes", badBroker(t, nil, says(greets)), 40, "connected to", "false", ""},
		{"another version", badBroker(t, nil, says("CONNECTED\nversion:9.9\n\n\x00")), 40, `speaks STOMP "9.9"`, "false", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			entry := func(name, destination string) string {
				return fmt.Sprintf("[%s]\ndestination = %q\nbrokers = [%q]\nusername = \"worker\"\npassword = %q\nuse_ssl = %s\nssl_ca_certs = %q\n",
					name, destination, c.addr, wrongPasscode, c.ssl, c.ca)
			}
			file := filepath.Join(t.TempDir(), "broker.toml")
			must(t, os.WriteFile(file, []byte(entry("transformer_broker", message.QueueSlicesWorkers)+
				entry("transformer_broadcast_broker", message.TopicTransformer)+entry("result_broker", message.TopicResults)), 0o600))
			status, stdout, stderr := tool(t, "pilot", "run", "--broker-config", file, "--payload", "synthetic", "--broker-timeout", "2s",
				"--work-dir", t.TempDir(), "--log-level", "debug", "--log-format", "json")
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			last := lines[len(lines)-1]
			if status != c.status || !strings.HasPrefix(last, "pilot: no broker for 2s: ") || !strings.Contains(last, c.want) || !strings.Contains(last, c.addr) {
				t.Errorf("status %d, want %d with %q and %q: %s", status, c.status, c.want, c.addr, last)
			}
			if all := stdout + stderr; strings.Contains(all, wrongPasscode) || strings.ContainsAny(all, "\x00\x1b") || !utf8.ValidString(all) || strings.Contains(all, "goroutine") {
				t.Errorf("the password, or what a terminal would act on, is in\n%q", all)
			}
			if len(stderr) > 20_000 {
				t.Errorf("%d bytes of log", len(stderr))
			}
		})
	}
}

// A job in the production worker's place says the same, and leaves its folder clean.
func TestABadBrokerIsNamedByAJobToo(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	for name, c := range map[string]struct {
		addr, want string
		status     int
	}{
		"wrong password":     {login(t), `the broker refuses the login "worker"`, 50},
		"lets in and closes": {badBroker(t, nil, says("CONNECTED\nversion:1.2\n\n\x00")), "connected to", 40},
		"drops packets":      {dropsPackets(t), "no answer yet", 40},
		"an endless header":  {badBroker(t, nil, neverEnds("CONNECTED\n", "x:y\n")), "larger than allowed", 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := &production{addr: c.addr, login: "worker", passcode: wrongPasscode}
			j := p.newJob(t, "TFPILOT_BROKER_TIMEOUT=2s")
			must(t, os.WriteFile(j.path("prompt.conf"), []byte(bad.conf(t)), 0o600))
			j.env = append(j.env, "PROMPT_TRANSFORM_CONF="+j.path("prompt.conf"))
			j.start(t, "./run_prompt_wrapper --verbose")
			code := j.end(t)
			text := j.read(t, "payload.stderr")
			if code != c.status || !strings.Contains(text, c.want) || !strings.Contains(text, c.addr) || strings.Count(text, "\n") != 1 {
				t.Errorf("exit status %d, want %d with %q: %s", code, c.status, c.want, text)
			}
			j.mustBeClean(t, wrongPasscode)
		})
	}
}

func TestAFileWithASecretIsLookedAtBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		must(t, os.Chmod(path, mode))
		return path
	}
	const secret = "s3cret-0123456789abcdef"
	entry := "[transformer_broker]\ndestination = \"/queue/q\"\nbrokers = [\"127.0.0.1:1\"]\nusername = \"worker\"\npassword = \"" + secret + "\"\n"
	for _, c := range []struct {
		name   string
		status int
		want   string
		args   []string
	}{
		{"token file empty", 50, "is empty", []string{"--idds", "http://127.0.0.1:1", "--token-file", file("empty", "", 0o600)}},
		{"token file open", 50, "chmod 600", []string{"--idds", "http://127.0.0.1:1", "--token-file", file("open", secret, 0o644)}},
		{"token file missing", 50, "/no/token", []string{"--idds", "http://127.0.0.1:1", "--token-file", "/no/token"}},
		{"broker file open", 50, "chmod 600", []string{"--broker-config", file("open.toml", entry, 0o644)}},
		{"broker file without an entry", 51, "result_broker", []string{"--broker-config", file("part.toml", entry, 0o600)}},
		{"broker file with a slip", 64, "slip.toml:5", []string{"--broker-config", file("slip.toml", strings.Replace(entry, "password =", "passwort =", 1), 0o600)}},
		{"broker file that is none", 64, "text.toml:1", []string{"--broker-config", file("text.toml", secret, 0o600)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := tool(t, "pilot", append([]string{"run", "--payload", "synthetic", "--log-level", "debug", "--work-dir", t.TempDir()}, c.args...)...)
			if status != c.status || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || lastWords(t, stdout).Code != status || strings.Contains(stdout+stderr, secret) {
				t.Errorf("status %d, want %d with %q: %s%s", status, c.status, c.want, stdout, stderr)
			}
		})
	}
}
