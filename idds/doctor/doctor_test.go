package doctor_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/doctor"
	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

const namespace = "exp"

// clinic is an embedded broker and the configuration of an idds on it.
type clinic struct {
	t      *testing.T
	broker *stompd.Broker
	addr   string
	cfg    doctor.Config
}

func newClinic(t *testing.T, conf stompd.Config) *clinic {
	t.Helper()
	b, err := stompd.New(conf)
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	c := &clinic{t: t, broker: b, addr: ln.Addr().String()}
	c.serve(ln)
	c.cfg = doctor.Config{
		State: t.TempDir(), ResultQueues: []string{message.QueueResultsFast, message.QueueResultsIDDS}, IDCacheSize: 20000, Limit: 300 * time.Millisecond,
		Store:   func(context.Context) (*ledger.StoreFacts, error) { return nil, nil }, //nolint:nilnil // no store yet
		Running: func(context.Context) (doctor.Instance, error) { return doctor.Instance{}, nil },
		Actors:  func(context.Context) ([]document.Actor, error) { return nil, nil },
	}
	c.cfg.Service.Namespace = namespace
	c.cfg.Broker.Addrs = []string{c.addr}
	config.Defaults(&c.cfg.Broker)
	config.Defaults(&c.cfg.Service)
	return c
}

func (c *clinic) serve(ln net.Listener) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- c.broker.Serve(ctx, ln) }()
	c.t.Cleanup(func() { cancel(); must(c.t, <-ended) })
}

// examine examines, and sees to it that nothing of it is left on the broker.
func (c *clinic) examine() doctor.Report {
	c.t.Helper()
	report, err := doctor.Examine(c.t.Context(), c.cfg)
	must(c.t, err)
	for _, q := range c.broker.Stats() {
		if q.InFlight != 0 || strings.Contains(q.Name, "doctor") {
			c.t.Errorf("left on the broker: %+v", q)
		}
	}
	return report
}

// says wants a verdict of a check, and words.
func says(t *testing.T, r doctor.Report, name string, v doctor.Verdict, words ...string) {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name != name || c.Verdict != v {
			continue
		}
		all := true
		for _, w := range words {
			all = all && strings.Contains(c.Found+" | "+c.Do, w)
		}
		if all {
			return
		}
	}
	for _, c := range r.Checks {
		t.Logf("%s: %s: %s | %s", c.Name, c.Verdict, c.Found, c.Do)
	}
	t.Errorf("%s is not %s with the words %q", name, v, words)
}

func (c *clinic) line() *stomp.Conn {
	c.t.Helper()
	conn, err := stomp.Dial(c.t.Context(), c.addr, stomp.Config{Login: c.cfg.Broker.Login, Passcode: c.cfg.Broker.Passcode})
	must(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (c *clinic) send(destination string, headers ...string) {
	c.t.Helper()
	r, err := c.line().Send(c.t.Context(), destination, []byte("{}"), headers...)
	must(c.t, err)
	must(c.t, r.Wait(c.t.Context()))
}

func (c *clinic) depth(queue string) int {
	for _, q := range c.broker.Stats() {
		if q.Name == queue {
			return q.Depth
		}
	}
	return -1
}

const (
	toWorkers = message.TopicSlices + " -> " + message.QueueSlicesWorkers
	toIDDS    = message.TopicResults + " -> " + message.QueueResultsIDDS
)

func TestAGoodBrokerHasNoProblem(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	r := c.examine()
	if !r.OK || r.Err() != nil {
		t.Errorf("%v", r.Err())
	}
	for _, name := range []string{
		toWorkers, message.TopicSlices + " -> " + message.QueueSlicesIDDS, message.TopicResults + " -> " + message.QueueResultsFast, toIDDS,
		message.TopicWorkers, message.TopicTransformer, "duplicate detection", "broker", "dead letters in DLQ", "dead letters in ExpiryQueue", "clock of the broker",
	} {
		says(t, r, name, doctor.OK)
	}
	says(t, r, message.TopicResults+" -> "+message.QueueResultsWorker, doctor.NotChecked, "not bound")
	says(t, r, "dead-letter address", doctor.NotChecked)
	says(t, r, "credentials", doctor.Warning, "lets anybody in")
	for _, q := range c.broker.Stats() {
		if q.Depth != 0 || q.Dead != 0 || q.Expired != 0 {
			t.Errorf("left behind: %+v", q)
		}
	}
}

func TestAQueueThatIsNotFedIsFound(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{FanOut: map[string][]string{
		message.TopicSlices: {message.QueueSlicesIDDS}, message.TopicResults: {message.QueueResultsFast, message.QueueResultsIDDS},
	}})
	r := c.examine()
	says(t, r, toWorkers, doctor.Problem, "nothing arrives", "broker.xml")
	says(t, r, message.TopicSlices+" -> "+message.QueueSlicesIDDS, doctor.OK)
	if exitcode.From(r.Err()) != exitcode.BrokerRefused {
		t.Errorf("%v", r.Err())
	}
}

func TestAConsumerWithoutSelectorIsNamedAsTheReason(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	sub, err := c.line().Subscribe(t.Context(), stomp.SubscribeOptions{Destination: message.QueueResultsFast, Ack: "auto"})
	must(t, err)
	go func() {
		for range sub.Messages() {
		}
	}()
	says(t, c.examine(), message.TopicResults+" -> "+message.QueueResultsFast, doctor.Warning, "another consumer, which has no selector")
}

func TestATopicThatIsAQueueIsFound(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{Queues: []string{message.TopicTransformer}})
	says(t, c.examine(), message.TopicTransformer, doctor.Problem, "only one of two subscribers", "multicast")
}

func TestThePresentBrokerIsNamedWithThoseThatAreAway(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	first, third := testkit.Nobody(t), testkit.Nobody(t)
	c.cfg.Broker.Addrs = []string{first, c.addr, third}
	r := c.examine()
	says(t, r, "broker", doctor.OK, c.addr+", number 2 of 3")
	says(t, r, "broker", doctor.Warning, first, "refused")
	says(t, r, "broker", doctor.Warning, third, "refused")
	if !r.OK {
		t.Error(r.Err())
	}
}

func TestWithoutABrokerTheRestIsLookedAt(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	c.cfg.Broker.Addrs = []string{testkit.Nobody(t)}
	r := c.examine()
	says(t, r, "broker", doctor.Problem, c.cfg.Broker.Addrs[0], "--broker-tls")
	says(t, r, message.TopicSlices, doctor.NotChecked, "no broker")
	says(t, r, "disk", doctor.OK)
	if exitcode.From(r.Err()) != exitcode.NoBroker {
		t.Errorf("%v", r.Err())
	}
}

func TestARefusedPasscodeIsNotShown(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{Users: map[string]string{"panda": "right"}})
	c.cfg.Broker.Login, c.cfg.Broker.Passcode = "panda", "wr0ng-secret"
	r := c.examine()
	says(t, r, "credentials", doctor.Problem, "TFPILOT_BROKER_PASSCODE")
	for _, check := range r.Checks {
		if strings.Contains(check.Found+check.Do, "wr0ng") {
			t.Errorf("%+v", check)
		}
	}
	if exitcode.From(r.Err()) != exitcode.NoCredential {
		t.Errorf("%v", r.Err())
	}
	c.cfg.Broker.Passcode = "right"
	says(t, c.examine(), "credentials", doctor.OK, `"panda"`)
}

func TestACertificateIsVerified(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate for 127.0.0.1
	t.Cleanup(web.Close)
	c := newClinic(t, stompd.Config{})
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: web.TLS.Certificates}
	c.serve(tls.NewListener(ln, conf))
	c.cfg.Broker.Addrs = []string{ln.Addr().String()}
	c.cfg.Broker.TLS = true
	r := c.examine()
	says(t, r, "tls", doctor.Problem, "unknown authority", "--broker-ca-file")
	if exitcode.From(r.Err()) != exitcode.BadConfig {
		t.Errorf("%v", r.Err())
	}
	c.cfg.Broker.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(c.cfg.Broker.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600))
	r = c.examine()
	says(t, r, "tls", doctor.OK, "127.0.0.1")
	says(t, r, toWorkers, doctor.OK)
}

func TestDeadLettersAreCountedAndLeft(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	c.send("DLQ", "namespace", "theirs", message.HeaderOriginalQueue, "/queue/theirs")
	c.send("DLQ", "namespace", "theirs", message.HeaderOriginalQueue, "/queue/theirs")
	c.send("ExpiryQueue", "namespace", namespace, message.HeaderOriginalQueue, message.QueueSlicesWorkers)
	r := c.examine()
	says(t, r, "dead letters in DLQ", doctor.OK, "2 of theirs from /queue/theirs", "left where they are")
	says(t, r, "dead letters in ExpiryQueue", doctor.Warning, "1 of exp from "+message.QueueSlicesWorkers, "start idds")
	c.send("DLQ", "namespace", namespace, message.HeaderOriginalQueue, message.QueueResultsIDDS)
	says(t, c.examine(), "dead letters in DLQ", doctor.Warning, "1 of exp from "+message.QueueResultsIDDS, "what idds should have counted died")
	if got := c.depth("DLQ"); got != 3 {
		t.Errorf("%d dead letters left of 3", got)
	}
}

func TestTheCacheOfIDsIsHeldAgainstTheRate(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	facts := &ledger.StoreFacts{Schema: 3, Runs: 1, Namespaces: []string{namespace, "before"}, PeakRate: 100, LongestHold: 20 * time.Second}
	c.cfg.Store = func(context.Context) (*ledger.StoreFacts, error) { return facts, nil }
	r := c.examine()
	says(t, r, "id-cache-size", doctor.OK, "100 results/s x (3 x 10s heart-beat + 20s longest hold) = 5000")
	says(t, r, "namespace", doctor.Warning, `"before"`)
	facts.PeakRate = 1000
	says(t, c.examine(), "id-cache-size", doctor.Warning, "= 50000", "100000 or more")
}

func TestClassicHasNoDuplicateDetection(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{Mode: stompd.Classic})
	r := c.examine()
	says(t, r, "duplicate detection", doctor.Warning, "both")
	says(t, r, toWorkers, doctor.OK)
}

func TestWhatTheStateAndTheServiceSayIsReported(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	now := time.Now()
	late := document.Worker{LastSeen: now}
	late.Hostname, late.At = "node7", now.Add(-5*time.Second)
	c.cfg.Store = func(context.Context) (*ledger.StoreFacts, error) {
		return &ledger.StoreFacts{Schema: 3, Workers: []document.Worker{{LastSeen: now, WorkerReport: document.WorkerReport{At: now}}, late}}, nil
	}
	c.cfg.Running = func(context.Context) (doctor.Instance, error) {
		return doctor.Instance{Locked: true, Addr: "http://127.0.0.1:1", Err: errors.New("connection refused")}, nil
	}
	c.cfg.Actors = func(context.Context) ([]document.Actor, error) {
		return []document.Actor{
			{Duty: "stop", Sender: "agent", Count: 2, RunID: "7", FirstAt: now, LastAt: now}, {Duty: "books", Sender: "ns.idds.other", Count: 9, FirstAt: now, LastAt: now},
		}, nil
	}
	r := c.examine()
	says(t, r, "clocks of 2 workers", doctor.Warning, "node7", "5s behind")
	says(t, r, "service", doctor.Problem, "http://127.0.0.1:1 does not answer", "its --listen")
	c.cfg.Running = func(context.Context) (doctor.Instance, error) {
		err := exitcode.WithNext(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, "SSL_CERT_FILE names a file")
		return doctor.Instance{Locked: true, Addr: "https://127.0.0.1:1", Err: err}, nil
	}
	says(t, c.examine(), "service", doctor.Problem, "unknown authority", "SSL_CERT_FILE")
	c.cfg.Running = func(context.Context) (doctor.Instance, error) {
		return doctor.Instance{Locked: true, Addr: "http://127.0.0.1:1", Err: errors.New("connection refused"), Assumed: true}, nil
	}
	says(t, c.examine(), "service", doctor.Warning, "not at http://127.0.0.1:1, which was assumed", "--address-file or --listen")
	says(t, r, "second actor", doctor.Warning, `"agent" does the duty stop: 2 messages`, "--stop-sender other")
	says(t, r, "second actor", doctor.Warning, `"ns.idds.other" is another idds of this namespace`, "end one of the two")
	c.cfg.Store = func(context.Context) (*ledger.StoreFacts, error) {
		return nil, exitcode.New(exitcode.StoreFailed, "it is damaged")
	}
	r = c.examine()
	says(t, r, "store", doctor.Problem, "damaged")
	if exitcode.From(r.Err()) != exitcode.StoreFailed {
		t.Errorf("%v", r.Err())
	}
	c.cfg.Store = func(context.Context) (*ledger.StoreFacts, error) {
		return nil, exitcode.WithNext(fmt.Errorf("it has schema 5: %w", ledger.ErrOlderSchema), "have a backup of it")
	}
	says(t, c.examine(), "store", doctor.Warning, "schema 5", "have a backup of it")
}

func TestABrokerThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and says nothing
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	c := newClinic(t, stompd.Config{})
	c.cfg.Broker.Addrs, c.cfg.Broker.DialLimit = []string{ln.Addr().String()}, 50*time.Millisecond
	says(t, c.examine(), "broker", doctor.Problem, ln.Addr().String())
}

func TestAnInterruptedExaminationTellsWhatItHas(t *testing.T) {
	t.Parallel()
	c := newClinic(t, stompd.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	c.cfg.Running = func(context.Context) (doctor.Instance, error) { cancel(stop); return doctor.Instance{}, nil }
	report, err := doctor.Examine(ctx, c.cfg)
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	says(t, report, "disk", doctor.OK)
}
