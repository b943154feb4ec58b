package idds_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var (
	must = testkit.Must
	soon = testkit.Soon
)

const (
	namespace = "test"
	run       = "100001"
)

// rig is the embedded broker, idds on it with a store on disk, and a line of the test's own.
type rig struct {
	t      *testing.T
	broker *stompd.Broker
	addr   string
	link   *broker.Link
	dir    string
	cfg    idds.Config

	service *idds.Service
	store   *sqlite.Store
	away    *atomic.Bool // makes the store of the service full: it can be read
	looks   *atomic.Int64
	undone  *atomic.Int64
	now     func() time.Time // of the service; the machine's when nil
	log     *logLines
	kill    func()
	cut     func() // ends the broker for good
}

func newRig(t *testing.T, cfg idds.Config) *rig {
	t.Helper()
	return newRigOn(t, stompd.Config{}, cfg)
}

func newRigOn(t *testing.T, of stompd.Config, cfg idds.Config) *rig {
	t.Helper()
	of.ExpiryScan = 10 * time.Millisecond
	b, err := stompd.New(of)
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	cfg.Namespace, cfg.Tick = namespace, 5*time.Millisecond
	r := &rig{t: t, broker: b, addr: ln.Addr().String(), dir: t.TempDir(), cfg: cfg}
	r.cut = r.background(func(ctx context.Context) error { return b.Serve(ctx, ln) })
	r.link = r.newLink("")
	r.start()
	return r
}

// background runs something until it is stopped, at the latest when the test ends.
func (r *rig) background(fn func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := fn(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-ended }
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) newLink(client string) *broker.Link {
	r.t.Helper()
	l, err := broker.New(broker.Config{Addrs: []string{r.addr}, ClientID: client, Tuning: broker.Tuning{FirstWait: time.Millisecond}})
	must(r.t, err)
	r.background(l.Run)
	return l
}

// start starts idds on the state that there is.
func (r *rig) start() {
	r.t.Helper()
	var err error
	r.store, err = sqlite.Open(r.t.Context(), r.dir, logging.Discard())
	must(r.t, err)
	store := r.store
	r.t.Cleanup(func() { _ = store.Close() })
	r.away, r.looks, r.undone = &atomic.Bool{}, &atomic.Int64{}, &atomic.Int64{}
	r.log = &logLines{}
	r.service, err = idds.New(shaky{store, r.away, r.looks, r.undone}, r.newLink("idds"), slog.New(slog.NewTextHandler(r.log, nil)), r.cfg)
	must(r.t, err)
	if r.now != nil {
		r.service.SetClock(r.now)
	}
	stop := r.background(r.service.Run)
	r.kill = func() { stop(); _ = store.Close() }
	<-r.service.Ready()
}

func (r *rig) publish(destination string, document any) {
	r.t.Helper()
	body, err := json.Marshal(document)
	must(r.t, err)
	r.publishBody(destination, body)
}

func (r *rig) publishBody(destination string, body []byte) {
	r.t.Helper()
	must(r.t, r.link.Publish(soon(r.t), broker.Out{Destination: destination, Body: body, Headers: []string{"namespace", namespace, "run_id", run}}))
}

func (r *rig) imminent(workers int64) {
	r.t.Helper()
	r.publish(message.TopicWorkers, message.RunImminentWorker{
		MsgType: message.TypeRunImminentWorker, RunID: message.Run(run), Namespace: namespace,
		Content: message.RunImminentWorkerContent{TargetWorkerCount: message.NewInt(workers)},
	})
}

// end ends the run; no number is announced when total is negative.
func (r *rig) end(total int64) {
	r.t.Helper()
	r.endOf(run, total)
}

func (r *rig) endOf(id string, total int64) {
	r.t.Helper()
	m := message.EndRun{MsgType: message.TypeEndRun, RunID: message.Run(id), CreatedAt: message.At(time.Now()), Namespace: namespace}
	if total >= 0 {
		m.Content.TotalSlices = message.NewInt(total)
	}
	r.publish(message.TopicWorkers, m)
}

func (r *rig) send(identity string) message.Slice {
	r.t.Helper()
	m := message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.SliceContent{
			RunID: message.Run(run), ReqID: message.Text(identity), Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(9), Attempt: message.NewInt(1),
		},
	}
	r.publish(message.TopicSlices, m)
	return m
}

// answer publishes a result for a slice as a pilot does, with a failure or without.
func (r *rig) answer(m message.Slice, f *message.Failure) {
	r.t.Helper()
	copied, err := m.Content.Copy()
	must(r.t, err)
	res := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: m.Run(), CreatedAt: message.At(time.Now()), Namespace: namespace,
		Content: message.ResultContent{
			RequestedAt: m.CreatedAt, State: message.StateDone, ReqID: m.Content.ReqID, Attempt: m.Content.Attempt, Failure: f,
			Counts: map[string]int64{"events": 3}, Result: message.Outcome{State: true, Result: copied},
		},
	}
	if f != nil {
		res.Content.State, res.Content.Counts = message.StateFailed, nil
	}
	r.publish(message.TopicResults, res)
}

// workers takes slices as pilots do.
func (r *rig) workers() *broker.Consumer {
	r.t.Helper()
	c := r.link.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	<-c.Ready()
	return c
}

func next(t *testing.T, c *broker.Consumer) message.Slice {
	t.Helper()
	d, err := c.Next(soon(t))
	must(t, err)
	must(t, d.Ack(soon(t)))
	m, err := message.Decode[message.Slice](d.Body)
	must(t, err)
	return m
}

// await waits until the run is as wanted.
func (r *rig) await(what string, ok func(document.RunCheck) bool) document.RunCheck {
	r.t.Helper()
	return r.awaitRun(run, what, ok)
}

func (r *rig) awaitRun(id, what string, ok func(document.RunCheck) bool) document.RunCheck {
	r.t.Helper()
	ctx := soon(r.t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var last document.RunCheck
	for {
		runs, err := r.store.Runs(ctx, namespace)
		must(r.t, err)
		if i := slices.IndexFunc(runs, func(r ledger.Run) bool { return r.RunID.String() == id }); i >= 0 {
			last, err = r.service.Check(ctx, runs[i])
			must(r.t, err)
			if ok(last) {
				return last
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatalf("waited too long for %s: %+v", what, last)
		}
	}
}

// reopen opens a store whose idds has ended.
func reopen(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, logging.Discard())
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// shaky is a store that is not available while somebody says so.
type shaky struct {
	ledger.Store

	away   *atomic.Bool
	looks  *atomic.Int64 // how often it was asked what is due
	undone *atomic.Int64 // how often there was a workflow task in what it did not store
}

func (s shaky) Due(ctx context.Context, namespace string, now time.Time) ([]ledger.Slice, error) {
	s.looks.Add(1)
	return s.Store.Due(ctx, namespace, now)
}

func (s shaky) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return s.Store.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(tx); err != nil || !s.away.Load() {
			return err
		}
		if made, err := tx.Tasks(ledger.TaskFilter{}); err == nil && len(made) > 0 {
			s.undone.Add(1)
		}
		return exitcode.New(exitcode.StoreFailed, "%w: on purpose", ledger.ErrUnavailable)
	})
}

// until waits for something that nobody tells us of.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := soon(r.t); !ok(); {
		select {
		case <-tick.C:
		case <-limit.Done():
			r.t.Fatalf("waited too long for %s", what)
		}
	}
}

// logLines is a log that is read while it is written.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// hear waits until words are in the service's log.
func (r *rig) hear(words string) {
	r.t.Helper()
	r.until(strconv.Quote(words), func() bool { return r.log.count(words) > 0 })
}

func (l *logLines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), words)
}
