package pilot_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tfpilot/internal/broker"
	"tfpilot/internal/config"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
	"tfpilot/pilot"
	"tfpilot/pilot/journal"
)

var (
	must  = testkit.Must
	await = testkit.Await
	soon  = testkit.Soon
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	namespace = "test"
	run       = "7"
)

// tb is a test, or one try of a property.
type tb interface {
	rapid.TB
	Cleanup(fn func())
	Context() context.Context
}

// rig is a broker with the production addresses, a line of the test's own to it, and one pilot's parts.
type rig struct {
	wire

	t       tb
	broker  *stompd.Broker
	addr    string
	link    *broker.Link
	results *broker.Consumer
	journal string
	node    *node // nil for one that is not tested

	started time.Time
	refuse  atomic.Bool  // connections of pilots
	refused atomic.Int32 // how many were
	log     tape
	mu      sync.Mutex
	conns   []net.Conn
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, t.TempDir(), stompd.Config{})
}

func newRigOn(t tb, journalDir string, cfg stompd.Config) *rig {
	t.Helper()
	b, err := stompd.New(cfg)
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	r := &rig{t: t, broker: b, addr: ln.Addr().String(), journal: journalDir, started: time.Now()}
	r.background(func(ctx context.Context) error { return b.Serve(ctx, ln) })
	r.link = r.newLink(false)
	r.background(r.link.Run)
	r.results = r.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueResultsFast})
	return r
}

// background runs something until the test ends.
func (r *rig) background(fn func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fn(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) newLink(pilots bool) *broker.Link {
	r.t.Helper()
	l, err := broker.New(broker.Config{
		Addrs: []string{r.addr}, Tuning: broker.Tuning{FirstWait: time.Millisecond, EarlyCap: 10 * time.Millisecond},
		Dial: func(ctx context.Context, addr string) (*stomp.Conn, error) {
			if pilots && r.refuse.Load() {
				r.refused.Add(1)
				return nil, errors.New("refused")
			}
			nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil || !pilots {
				return connect(ctx, nc, err)
			}
			nc = taped{nc, &r.wire}
			r.mu.Lock()
			r.conns = append(r.conns, nc)
			r.mu.Unlock()
			return connect(ctx, nc, nil)
		},
	})
	must(r.t, err)
	return l
}

func connect(ctx context.Context, nc net.Conn, err error) (*stomp.Conn, error) {
	if err != nil {
		return nil, err
	}
	return stomp.NewConn(ctx, nc, stomp.Config{})
}

// cut breaks every connection of pilots, and returns how many there have been.
func (r *rig) cut() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, nc := range r.conns {
		_ = nc.Close()
	}
	return len(r.conns)
}

func (r *rig) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// started is a pilot that runs.
type started struct {
	t       tb
	stop    context.CancelFunc
	done    chan struct{}
	err     error
	release func() // closes its journal, for the next pilot
	drain   chan error
	pilot   *pilot.Pilot
}

// pilot starts one; nil parts are the plainest.
func (r *rig) pilot(cfg pilot.Config, w *runner, idds *reporter) *started {
	r.t.Helper()
	return r.pilotIn(nil, cfg, w, idds)
}

// pilotIn starts one in a slot of a batch system.
func (r *rig) pilotIn(in *place, cfg pilot.Config, w *runner, idds *reporter) *started {
	r.t.Helper()
	if w == nil {
		w = &runner{}
	}
	cfg.Namespace = namespace
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 20 * time.Millisecond
	}
	none := cfg.Ahead < 0
	if config.Defaults(&cfg); none {
		cfg.Ahead = 0
	}
	j, err := journal.Open(r.journal, false, logging.Discard())
	must(r.t, err)
	log, err := logging.New(&r.log, "pilot", "info", "json")
	must(r.t, err)
	link := r.newLink(true)
	drain := make(chan error, 1)
	parts := pilot.Parts{Link: link, Runner: w, Journal: j, Logger: log, Drain: drain}
	if in != nil {
		parts.Place = in
	}
	if idds != nil {
		parts.Reporter = idds
	}
	if r.node != nil {
		parts.Node, parts.Open = r.node, r.node.open
	}
	p, err := pilot.New(parts, pilot.Destinations{
		Slices: message.QueueSlicesWorkers, Broadcast: message.TopicTransformer, Results: message.TopicResults,
	}, cfg)
	must(r.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s := &started{t: r.t, stop: cancel, done: make(chan struct{}), drain: drain, pilot: p, release: sync.OnceFunc(func() { _ = j.Close() })}
	linkCtx, hangUp := context.WithCancel(context.Background())
	hungUp := make(chan struct{})
	go func() { defer close(hungUp); _ = link.Run(linkCtx) }()
	go func() {
		defer close(s.done)
		s.err = p.Run(ctx)
		hangUp()
		<-hungUp
	}()
	r.t.Cleanup(func() {
		cancel()
		<-s.done
		s.release()
	})
	return s
}

// wait is how the pilot ended.
func (s *started) wait() error {
	s.t.Helper()
	select {
	case <-s.done:
		return s.err
	case <-soon(s.t).Done():
		s.t.Fatal("the pilot goes on")
		return nil
	}
}

// slice makes a slice of the run.
func slice(identity string, attempt int) message.Slice {
	now := message.At(time.Now())
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: now, Namespace: namespace,
		Content: message.SliceContent{
			RunID: message.Run(run), ReqID: message.Text(identity), Filename: "f.stf", TFFilename: "f.tf", SliceID: message.NewInt(1),
			Start: message.NewInt(0), End: message.NewInt(9), Attempt: message.NewInt(int64(attempt)),
		},
	}
}

// publish sends a slice as daq does.
func (r *rig) publish(m message.Slice) {
	r.t.Helper()
	body, err := json.Marshal(m)
	must(r.t, err)
	r.publishBody(body, m.Run().String())
}

func (r *rig) publishBody(body []byte, runID string) {
	r.t.Helper()
	must(r.t, r.link.Publish(soon(r.t), broker.Out{
		Destination: message.TopicSlices, Body: body, Headers: []string{"persistent", "true", "namespace", namespace, "run_id", runID},
	}))
}

// next waits for a result.
func (r *rig) next() message.SliceResult {
	r.t.Helper()
	d, err := r.results.Next(soon(r.t))
	if err != nil {
		r.t.Fatalf("waiting for a result: %v", err)
	}
	must(r.t, d.Ack(soon(r.t)))
	m, err := message.Decode[message.SliceResult](d.Body)
	must(r.t, err)
	if got := d.Header.Get("namespace"); got != m.Namespace { // or nobody's selector would let it through
		r.t.Errorf("a result of namespace %q has the header %q", m.Namespace, got)
	}
	return m
}

// queue is the state of the slices' queue.
func (r *rig) queue() msgqueue.Stat {
	for _, q := range r.broker.Stats() {
		if q.Name == message.QueueSlicesWorkers {
			return q
		}
	}
	r.t.Fatal("no such queue")
	return msgqueue.Stat{}
}

var errGate = errors.New("ended at the gate")

// gate holds payloads until it is opened.
type gate chan struct{}

func (g gate) wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return errGate
	}
}

func number(i int) string { return "slice-" + strconv.Itoa(i) }
