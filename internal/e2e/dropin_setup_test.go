package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/message"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/proc"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// production is the world of the production worker: a broker with its addresses, a PanDA server that relays, and a namespace
// that is this test's alone.
type production struct {
	addr, login, passcode, namespace string
	// via is where jobs are told that the broker is, when it is not addr; tls says that they shall use TLS.
	via string
	tls bool
	// strands says that the broker may keep from everybody what a lost connection held, see ConnectionLost in docs/brokers.md.
	strands bool

	link  *broker.Link
	relay *httptest.Server
	ca    string // the authority that signed the relay's certificate
}

const relayToken = "s3cret-token-of-the-job" //nolint:gosec // of the tests

func newProduction(tb testing.TB, addr, login, passcode string) *production {
	tb.Helper()
	p := &production{addr: addr, login: login, passcode: passcode, namespace: "e2e-" + uuid.NewString()[:8], ca: filepath.Join(tb.TempDir(), "ca.pem")}
	var err error
	p.link, err = broker.New(broker.Config{Addrs: []string{addr}, Login: login, Passcode: passcode})
	must(tb, err)
	background(tb, p.link.Run)
	p.relay = httptest.NewTLSServer(http.HandlerFunc(p.answer))
	tb.Cleanup(p.relay.Close)
	must(tb, os.WriteFile(p.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.relay.Certificate().Raw}), 0o600))
	return p
}

// inProcess is the production world on the embedded broker in this process.
func inProcess(tb testing.TB, cfg stompd.Config) *production {
	tb.Helper()
	return newProduction(tb, serveBroker(tb, cfg), "", "")
}

// serveBroker runs an embedded broker in this process.
func serveBroker(tb testing.TB, cfg stompd.Config) (addr string) {
	tb.Helper()
	b, err := stompd.New(cfg)
	must(tb, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(tb, err)
	background(tb, func(ctx context.Context) error { return b.Serve(ctx, ln) })
	return ln.Addr().String()
}

// through has jobs reach the broker through links that can be broken, over TLS when conf is not nil.
func (p *production) through(tb testing.TB, conf *tls.Config) *faultproxy.Proxy {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(tb, err)
	p.via, p.tls = ln.Addr().String(), conf != nil
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	proxy := faultproxy.New(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", p.addr) }, nil)
	background(tb, func(ctx context.Context) error { return proxy.Serve(ctx, ln) })
	return proxy
}

// answer is the relay's.
func (p *production) answer(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+relayToken || r.Header.Get("Origin") != "EIC" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	_ = json.NewEncoder(w).Encode([]any{true, []any{true, p.brokers()}})
}

func (p *production) brokers() map[string]metainfo.BrokerEntry {
	entry := func(destination string) metainfo.BrokerEntry {
		return metainfo.BrokerEntry{Destination: destination, Brokers: []string{cmp.Or(p.via, p.addr)}, Username: p.login, Password: p.passcode, UseSSL: p.tls}
	}
	return map[string]metainfo.BrokerEntry{
		"transformer_broker": entry(message.QueueSlicesWorkers), "transformer_broadcast_broker": entry(message.TopicTransformer), "result_broker": entry(message.TopicResults),
	}
}

// conf is a prompt.conf with these brokers.
func (p *production) conf(tb testing.TB) string {
	tb.Helper()
	text := "[prompt]\n"
	for key, entry := range p.brokers() {
		b, err := json.Marshal(entry)
		must(tb, err)
		text += key + " = " + string(b) + "\n"
	}
	return text
}

// publish sends slices as the production agent does: with the live message's fields, and no more.
func (p *production) publish(tb testing.TB, ids ...int) {
	tb.Helper()
	for _, n := range ids {
		body, err := json.Marshal(map[string]any{
			"msg_type": "slice", "run_id": run, "created_at": "2026-01-18T14:36:03.194616", "sender": "fastprocessing-agent", "namespace": p.namespace,
			"content": map[string]any{
				"run_id": run, "execution_id": "stf_datataking-user-0079", "req_id": uuid.NewString(), "filename": "swf." + run + ".000001.stf",
				"tf_filename": "swf.000001_slice_000.tf", "slice_id": n, "start": 0, "end": 65, "tf_count": 66, "state": "queued", "substate": "new",
			},
		})
		must(tb, err)
		must(tb, p.link.Publish(soon(tb), broker.Out{Destination: message.TopicSlices, Body: body, Headers: []string{
			"persistent", "true", "ttl", "43200000", "vo", "eic", "msg_type", "slice", "run_id", run, "namespace", p.namespace,
		}}))
	}
}

// startPilot starts a native pilot of the namespace, which finds the broker at addr and keeps what it keeps in dir.
func (p *production) startPilot(tb testing.TB, addr, dir string, args ...string) *proc.Process {
	tb.Helper()
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(tb, err)
	tb.Cleanup(func() {
		_ = log.Close()
		if tb.Failed() {
			tb.Logf("%s", readFile(tb, log.Name()))
		}
	})
	config := p.brokerFile(tb, dir, addr)
	process, err := proc.Start(tb.Context(), proc.Command{
		Path: filepath.Join(bin(tb), "pilot"), Dir: dir, Env: os.Environ(), Stdout: log, Stderr: log,
		Args: append([]string{
			"run", "--broker-config", config, "--namespace", p.namespace, "--journal-dir", filepath.Join(dir, "journal"),
			"--work-dir", filepath.Join(dir, "work"), "--broker-first-wait", "10ms",
		}, args...),
	})
	must(tb, err)
	return process
}

// brokerFile writes the broker configuration of a pilot that reaches the broker at addr.
func (p *production) brokerFile(tb testing.TB, dir, addr string) (path string) {
	tb.Helper()
	entry := func(name, destination string) string {
		return fmt.Sprintf("[%s]\ndestination = %q\nbrokers = [%q]\nusername = %q\npassword = %q\n", name, destination, addr, p.login, p.passcode)
	}
	path = filepath.Join(dir, "broker.toml")
	must(tb, os.WriteFile(path, []byte(entry("transformer_broker", message.QueueSlicesWorkers)+
		entry("transformer_broadcast_broker", message.TopicTransformer)+entry("result_broker", message.TopicResults)), 0o600))
	return path
}

// publishSlice sends a slice as ours do.
func (p *production) publishSlice(tb testing.TB, m message.Slice) {
	tb.Helper()
	body, err := json.Marshal(m)
	must(tb, err)
	must(tb, p.link.Publish(soon(tb), broker.Out{
		Destination: message.TopicSlices, Body: body, Headers: []string{
			"persistent", "true", "msg_type", message.TypeSlice, "run_id", m.Run().String(), "namespace", p.namespace,
		},
		DuplicateID: message.SliceDuplicateID(p.namespace, m.Run().String(), m.Content.Identity(), m.Content.AttemptNumber()),
	}))
}

// stop says that the run is over.
func (p *production) stop(tb testing.TB) {
	tb.Helper()
	body := `{"msg_type":"stop_transformer","run_id":` + run + `,"created_at":"2026-01-18T14:40:03.000001","content":{"requested_at":"2026-01-18T14:40:03"}}` // a number this time
	must(tb, p.link.Publish(soon(tb), broker.Out{Destination: message.TopicTransformer, Body: []byte(body), Headers: []string{
		"persistent", "true", "vo", "eic", "msg_type", "stop_transformer", "run_id", run, "namespace", p.namespace,
	}}))
}

// consume subscribes to what of a queue is this test's.
func (p *production) consume(tb testing.TB, queue string) *broker.Consumer {
	tb.Helper()
	c := p.link.Subscribe(stomp.SubscribeOptions{Destination: queue, Selector: "namespace='" + p.namespace + "'", Window: 1})
	tb.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// job is a worker's job as the PanDA pilot starts it.
type job struct {
	dir string
	env []string
	*proc.Process
}

// newJob makes a job's folder, with the program in it under the name of the production one, and the token.
func (p *production) newJob(tb testing.TB, env ...string) *job {
	tb.Helper()
	j := &job{dir: tb.TempDir()}
	// A hard link for a copy: a file that was just written cannot be run while a process forked meanwhile has it open.
	must(tb, os.Link(filepath.Join(bin(tb), "pilot"), j.path("run_prompt_wrapper")))
	if !strings.Contains(strings.Join(env, " "), "PANDA_AUTH_DIR=") {
		must(tb, os.WriteFile(j.path("token"), []byte(relayToken), 0o600))
	}
	j.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir(), "PANDAID=119830", "PanDA_TaskID=33708", "HARVESTER_WORKER_ID=91464",
		"PANDA_SERVER_URL=" + p.relay.URL, "PANDA_AUTH_DIR=" + j.path("token"), "PANDA_AUTH_ORIGIN=EIC", "TFPILOT_RELAY_CA_FILE=" + p.ca,
		"TFPILOT_JOURNAL_DIR=" + tb.TempDir(), "TFPILOT_PAYLOAD=noop",
	}, env...)
	return j
}

func (j *job) path(name string) string { return filepath.Join(j.dir, name) }

// start runs a command line as the PanDA pilot does: by bash, in a session of its own, with the outputs in the job's folder.
func (j *job) start(tb testing.TB, line string) {
	tb.Helper()
	create := func(name string) *os.File {
		f, err := os.Create(j.path(name))
		must(tb, err)
		tb.Cleanup(func() { _ = f.Close() })
		return f
	}
	var err error
	j.Process, err = proc.Start(tb.Context(), proc.Command{
		Path: "bash", Args: []string{"-c", line}, Dir: j.dir, Env: j.env, Stdout: create("payload.stdout"), Stderr: create("payload.stderr"),
	})
	must(tb, err)
}

// term sends SIGTERM twice, and SIGKILL when the PanDA pilot would.
func (j *job) term(tb testing.TB) {
	tb.Helper()
	const patience = 3 * time.Second
	must(tb, syscall.Kill(j.PID(), syscall.SIGTERM))
	if err := syscall.Kill(j.PID(), syscall.SIGTERM); err != syscall.ESRCH { // the first one may have been enough already
		must(tb, err)
	}
	kill := time.AfterFunc(patience, func() { _ = syscall.Kill(j.PID(), syscall.SIGKILL) })
	tb.Cleanup(func() { kill.Stop() })
	<-j.Done()
}

// end waits for the end and returns the exit status, -1 after death by a signal.
func (j *job) end(tb testing.TB) int {
	tb.Helper()
	r, err := j.Wait()
	must(tb, err)
	if r.LeftBehind > 0 {
		tb.Errorf("the job left %d processes behind", r.LeftBehind)
	}
	return r.ExitCode
}

func (j *job) read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(j.path(name))
	must(tb, err)
	return string(b)
}

// report is the job's report of itself.
func (j *job) report(tb testing.TB) (r struct {
	RunID  string                `json:"run_id"`
	Slices document.WorkerTotals `json:"slices"`
	Exit   document.WorkerLastWord
},
) {
	tb.Helper()
	must(tb, json.Unmarshal([]byte(j.read(tb, "jobReport.json")), &r))
	return r
}

// mustBeClean holds the folder to what may go into the job's log: no secret, no program, nothing of slices.
func (j *job) mustBeClean(tb testing.TB, secrets ...string) {
	tb.Helper()
	entries, err := os.ReadDir(j.dir)
	must(tb, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		b, err := os.ReadFile(j.path(e.Name()))
		if err != nil {
			tb.Errorf("%s: %v", e.Name(), err)
		}
		for _, secret := range append(secrets, relayToken) {
			if secret != "" && bytes.Contains(b, []byte(secret)) {
				tb.Errorf("%q stands in %s", secret, e.Name())
			}
		}
	}
	if got := strings.Join(names, " "); got != "jobReport.json payload.stderr payload.stdout" {
		tb.Errorf("the job left %s", got)
	}
}
