package iddscmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/cmd/idds/iddscmd"
	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var (
	must  = testkit.Must
	until = testkit.Await
)

// output is what a command left. The tests of commands are not parallel: all apps of the library share one help flag.
type output struct {
	status         int
	stdout, stderr string
}

func command(t *testing.T, args ...string) output {
	t.Helper()
	var out, errs bytes.Buffer
	app := iddscmd.App()
	app.Writer, app.ErrWriter = &out, &errs
	status := program.Run(t.Context(), app, append([]string{"idds"}, args...))
	return output{status, out.String(), errs.String()}
}

// mustSay wants an exit status and words, and nothing that only a programmer understands.
func (o output) mustSay(t *testing.T, status int, words ...string) {
	t.Helper()
	if o.status != status {
		t.Errorf("status %d, not %d", o.status, status)
	}
	for _, w := range words {
		if !strings.Contains(o.stdout+o.stderr, w) {
			t.Errorf("%q is not said", w)
		}
	}
	if status != 0 && strings.Count(o.stderr, "\n") > 1 || strings.Contains(o.stderr, "goroutine") {
		t.Error("more than one line of error")
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
	}
}

// instance is `idds serve` on the embedded broker.
type instance struct {
	broker, url, state string
	viewer             string // file of a viewer's token
	log                *logLines
	stop               func() int
	stopBroker         func()
}

// serve starts an instance on a state folder and waits until it listens.
func serve(t *testing.T, state string, more ...string) *instance {
	t.Helper()
	in := &instance{state: state, log: &logLines{}}
	in.broker, in.stopBroker = embeddedBroker(t)
	address := filepath.Join(t.TempDir(), "address")
	app := iddscmd.App()
	app.Writer, app.ErrWriter = in.log, in.log
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan int, 1)
	go func() {
		ended <- program.Run(ctx, app, append([]string{
			"idds", "serve", "--state", state, "--listen", "127.0.0.1:0", "--address-file", address, "--broker-addr", in.broker, "--tick", "10ms",
		}, more...))
	}()
	in.stop = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { in.stop() })
	// The log comes first, for it is also what orders the start before whatever the test does next.
	until(t, "idds to listen", func() bool { return strings.Contains(in.log.String(), "idds listens") })
	until(t, "the address file", func() bool {
		b, err := os.ReadFile(address)
		in.url = "http://" + strings.TrimSpace(string(b))
		return err == nil
	})
	in.viewer = in.token(t, "viewer")
	return in
}

func embeddedBroker(t *testing.T) (addr string, stop func()) {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	return ln.Addr().String(), background(t, func(ctx context.Context) error { return b.Serve(ctx, ln) })
}

// background runs something until it is stopped, or the test ends.
func background(t *testing.T, fn func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- fn(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// token writes the token of a role into a file of its own.
func (in *instance) token(t *testing.T, role string) string {
	t.Helper()
	o := command(t, "token", "--state", in.state, role)
	o.mustSay(t, 0)
	file := filepath.Join(t.TempDir(), role+".token")
	must(t, os.WriteFile(file, []byte(o.stdout), 0o600))
	return file
}

// ask runs a command against the instance as a viewer.
func (in *instance) ask(t *testing.T, args ...string) output {
	t.Helper()
	t.Setenv("TFPILOT_IDDS", in.url)
	t.Setenv("TFPILOT_TOKEN_FILE", in.viewer)
	return command(t, args...)
}

// publish sends documents as daq and pilots do.
func (in *instance) publish(t *testing.T, destination string, documents ...any) {
	t.Helper()
	link, err := broker.New(broker.Config{Addrs: []string{in.broker}})
	must(t, err)
	background(t, link.Run)
	for _, d := range documents {
		body, err := json.Marshal(d)
		must(t, err)
		must(t, link.Publish(t.Context(), broker.Out{Destination: destination, Body: body, Headers: []string{"namespace", "default"}}))
	}
}

func slice(identity string) message.Slice {
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run("100001"), CreatedAt: message.At(time.Now()), Namespace: "default",
		Content: message.SliceContent{ReqID: message.Text(identity), Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(65)},
	}
}

func result(identity string, f *message.Failure) message.SliceResult {
	m := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run("100001"), CreatedAt: message.At(time.Now()), Namespace: "default",
		Content: message.ResultContent{State: message.StateDone, ReqID: message.Text(identity), PilotID: "p1", Failure: f},
	}
	took := 0.5
	m.Content.ProcessingTime, m.Content.Payload = &took, &message.PayloadIdentity{Name: "reco", Version: "2"}
	m.Content.Usage = &message.Usage{Cores: 1, WallSeconds: 0.5, UserSeconds: 0.25, SystemSeconds: 0.05, PeakBytes: 21e6, ReadBytes: 4e6, WrittenBytes: 1e6, Processes: 1}
	if f != nil {
		m.Content.State = message.StateFailed
	}
	return m
}

func endRun(total int64) message.EndRun {
	m := message.EndRun{MsgType: message.TypeEndRun, RunID: message.Run("100001"), CreatedAt: message.At(time.Now()), Namespace: "default"}
	m.Content.TotalSlices = message.NewInt(total)
	return m
}

// logLines is written by the program while the test reads.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// columns makes the width of a table's columns irrelevant.
func columns(table string) string { return regexp.MustCompile(` +`).ReplaceAllString(table, " ") }
