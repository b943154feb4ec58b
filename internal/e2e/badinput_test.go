package e2e_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

func TestBadInputOnTheCommandLineIsOneLineWithTheNextStep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	port := taken.Addr().String()
	certFile, _ := certificate(t, dir, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	oldCert, oldKey := certificate(t, t.TempDir(), time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	damaged := filepath.Join(dir, "damaged")
	must(t, os.Mkdir(damaged, 0o700))
	for _, name := range []string{"000000000001.log", "000000000002.log"} {
		must(t, os.WriteFile(filepath.Join(damaged, name), []byte("what is this?"), 0o600))
	}
	noFolder := filepath.Join(file("file", "x"), "state") // a file where a folder is needed: true for root as well
	for _, c := range []struct {
		name   string
		status int
		want   string
		args   []string
	}{
		{"wrong flag", 64, "-slot", []string{"pilot", "run", "--slot", "1"}},
		{"no such command", 64, `no command "serv"`, []string{"idds", "serv"}},
		{"a forgotten flag", 64, `takes no argument "100001"`, []string{"daq", "run", "100001"}},
		{"not a number", 64, "--slots", []string{"pilot", "run", "--slots", "many"}},
		{"unknown key", 64, `unknown.toml:2: unknown key "slot"`, []string{"pilot", "run", "--config", file("unknown.toml", "slots = 1\nslot = 2\n")}},
		{"unknown key of a payload", 64, `p.toml:3: unknown key "comand"`, []string{
			"wrapper", "run", "--payload", file("p.toml", "name = \"p\"\nkind = \"command\"\ncomand = [\"true\"]\n"), "--input", "x.stf",
		}},
		{"no broker at all", 51, "--broker-config", []string{"pilot", "run"}},
		{"port taken by another", 44, port, []string{"idds", "serve", "--listen", port, "--state", filepath.Join(dir, "idds"), "--broker-addr", port}},
		{"port taken, broker", 44, port, []string{"testbed", "broker", "--in-memory", "--listen", port}},
		{"a binding without a queue", 64, `"/topic/a" is not TOPIC=QUEUE`, []string{"testbed", "broker", "--bind", "/topic/a"}},
		{"a demo of nothing", 64, "--stfs: must be more than 0 (the default is 3)", []string{"testbed", "demo", "--stfs", "0", "--out", filepath.Join(dir, "none")}},
		{"a demo too large for a machine", 64, "--slots 1000000: must be from 1 to", []string{"testbed", "demo", "--slots", "1000000", "--out", filepath.Join(dir, "none")}},
		{"a demo with an unknown format", 64, `"xml" is none of`, []string{"testbed", "demo", "--output", "xml", "--out", filepath.Join(dir, "none")}},
		{"a demo without its payload", 64, "reading payload: open nix", []string{"testbed", "demo", "--payload", "nix", "--out", filepath.Join(dir, "none")}},
		{"a demo of a program that is not there", 31, "/no/such/program", []string{
			"testbed", "demo", "--out", filepath.Join(dir, "none"), "--payload", file("none.toml", "name = \"n\"\nkind = \"command\"\ncommand = [\"/no/such/program\"]\n"),
		}},
		{"an address that is none", 64, `--listen "nonsense"`, []string{"testbed", "broker", "--in-memory", "--listen", "nonsense"}},
		{"a queue bound twice", 51, "/queue/b", []string{"testbed", "broker", "--in-memory", "--bind", "/topic/a=/queue/b,/topic/c=/queue/b"}},
		{"a certificate without its key", 64, "go together", []string{"testbed", "broker", "--tls-cert", certFile}},
		{"a certificate and no key", 51, "text.pem", []string{"testbed", "broker", "--tls-cert", certFile, "--tls-key", file("text.pem", "hello")}},
		{"an expired certificate", 51, "is valid from", []string{"testbed", "broker", "--tls-cert", oldCert, "--tls-key", oldKey}},
		{"a key of another certificate", 51, "does not match", []string{"testbed", "broker", "--tls-cert", certFile, "--tls-key", oldKey}},
		{"no certificate", 51, "reading --tls-cert", []string{"testbed", "broker", "--tls-cert", "nix", "--tls-key", oldKey}},
		{"a key for all to read", 50, "chmod 600", []string{"testbed", "broker", "--tls-cert", certFile, "--tls-key", readable(t, dir)}},
		{"users for all to read", 50, "chmod 600", []string{"testbed", "broker", "--users", readable(t, dir)}},
		{"users that are none", 51, `"a" has no passcode in quotes; "b" has an empty passcode`, []string{"testbed", "broker", "--users", file("users.toml", "a = 7\nb = \"\"\n")}},
		{"a state that is damaged", 43, "000000000001.log at offset 0", []string{"testbed", "broker", "--listen", "127.0.0.1:0", "--state", damaged}},
		{"a state that cannot be, of broker", 43, "making the state folder", []string{"testbed", "broker", "--state", noFolder}},
		{"state that cannot be", 43, "making the state folder", []string{"idds", "serve", "--listen", "127.0.0.1:0", "--state", noFolder, "--broker-addr", port}},
		{"state of harvester", 43, "making the state folder", []string{"harvester", "run", "--state", noFolder}},
		{"state of daq", 43, "state", []string{"daq", "run", "--broker-addr", port, "--state", noFolder}},
		{"no ROOT file", 20, "no-such.stf", []string{"daq", "inspect", filepath.Join(dir, "no-such.stf")}},
		{"not a ROOT file", 21, "text.stf", []string{"daq", "inspect", file("text.stf", "hello")}},
		{"plan against reason", 64, "frames", []string{"daq", "plan", "--frames", "0"}},
		{"secret for all to read", 50, "chmod 600", []string{"idds", "runs", "--token-file", readable(t, dir)}},
		{"no idds", 41, "idds", []string{"idds", "runs", "--idds", "http://" + testkit.Nobody(t)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := tool(t, c.args[0], c.args[1:]...)
			if status != c.status || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "goroutine") {
				t.Errorf("%v\nstatus %d, want %d with %q\nstdout %q\nstderr %q", c.args, status, c.status, c.want, stdout, stderr)
			}
			if pilot := c.args[0] == "pilot" && c.args[1] == "run"; stdout != "" && !pilot || pilot && lastWords(t, stdout).Code != status {
				t.Errorf("%v\nstdout %q", c.args, stdout)
			}
		})
	}
}

// lastWords are the one line that a pilot prints.
func lastWords(tb testing.TB, stdout string) document.WorkerLastWord {
	tb.Helper()
	var w document.WorkerReport
	if err := json.Unmarshal([]byte(stdout), &w); err != nil || w.Exit == nil || strings.Count(stdout, "\n") != 1 {
		tb.Fatalf("%v: %q are no last words", err, stdout)
	}
	return *w.Exit
}

func readable(tb testing.TB, dir string) string {
	tb.Helper()
	path := filepath.Join(dir, "token")
	must(tb, os.WriteFile(path, []byte("0123456789abcdef"), 0o600))
	must(tb, os.Chmod(path, 0o644))
	return path
}

// Everything that can lie on the slice queue, with the outcome that docs/messages.md names: junk is gone without a result, a
// slice that cannot be worked on has a failed one, what is of another namespace stays.
func TestEveryKindOfMessageOnTheSliceQueueHasItsOutcome(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	results := c.results(t)
	must(t, c.Start(t.Context(), "pilot", "pilot", []string{
		"run", "--broker-config", brokerFile(t, c.Stack, c.Broker, "", ""), "--namespace", namespace, "--run", run, "--journal-dir", c.Path("journal"), "--work-dir", c.Path("work"),
	}))
	for _, junk := range []string{
		"", "{", "[]", "null", `"slice"`, `{"msg_type":"heartbeat"}`, `{"msg_type":"unheard"}`, `{"msg_type":"slice"}`,
		`{"msg_type":"slice","run_id":100001,"content":{"slice_id":1}}`, `{"msg_type":"slice","content":7}`,
	} {
		c.publishBody(t, []byte(junk))
	}
	missing := filepath.Join(t.TempDir(), "missing.stf")
	for n, edit := range []func(*message.SliceContent){
		func(s *message.SliceContent) { s.End = message.Int{} },
		func(s *message.SliceContent) { s.Start, s.End = message.NewInt(9), message.NewInt(0) },
		func(s *message.SliceContent) { s.Filename = "../../etc/passwd" },
		func(s *message.SliceContent) { s.Filename = missing },
		func(s *message.SliceContent) { s.FileType, s.SliceProcessingTime = "fake", []byte("0") },
	} {
		c.publish(t, slice(n, edit))
	}
	c.publishBody(t, []byte(`{"msg_type":"slice","run_id":"100001","content":{"req_id":"odd","start":"soon","filename":3}}`))
	want := map[string]string{
		id(0): "data_invalid", id(1): "data_invalid", id(2): "data_invalid", id(3): "data_missing", id(4): "done", "odd": "data_invalid",
	}
	for range len(want) {
		m := next(t, results)
		got := m.Content.State
		if m.Content.Failure != nil {
			got = m.Content.Failure.Name
		}
		if got != want[m.Identity()] {
			t.Errorf("slice %s: %s, want %s", m.Identity(), got, want[m.Identity()])
		}
		delete(want, m.Identity())
	}
	if len(want) > 0 {
		t.Errorf("no result for %v", want)
	}
}

func id(n int) string { return slice(n).Content.Identity() }
