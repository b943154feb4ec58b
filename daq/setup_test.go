package daq_test

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/daq/journal"
	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an embedded broker with somebody who listens to everything.
type world struct {
	t    *testing.T
	addr string
	link *broker.Link // the listener's, not the DAQ's

	mu     sync.Mutex
	slices []message.Slice
	epic   []string
	work   []string // msg_types on panda.workers
	ends   []message.EndRun
	seen   chan struct{} // gets one for every message
}

// newWorld starts a broker and a listener that answers slices as answer says; nil answers nothing.
func newWorld(t *testing.T, answer func(message.Slice) *message.SliceResult) *world {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, addr: ln.Addr().String(), seen: make(chan struct{}, 10000)}
	w.link = newLink(t, w.addr)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	wg.Go(func() { _ = b.Serve(ctx, ln) })
	listen := func(destination string, take func([]byte)) {
		c := w.link.Subscribe(stomp.SubscribeOptions{Destination: destination})
		wg.Go(func() {
			for {
				m, err := c.Next(ctx)
				if err != nil {
					return
				}
				take(m.Body)
				_ = m.Ack(ctx)
				w.seen <- struct{}{}
			}
		})
		<-c.Ready()
	}
	wg.Go(func() { _ = w.link.Run(ctx) })
	listen(message.TopicEpic, func(body []byte) { w.note(&w.epic, body) })
	listen(message.TopicWorkers, func(body []byte) {
		w.note(&w.work, body)
		if m, err := message.Decode[message.EndRun](body); err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ends = append(w.ends, m)
		}
	})
	listen(message.QueueSlicesWorkers, func(body []byte) {
		s, err := message.Decode[message.Slice](body)
		if err != nil {
			t.Errorf("a slice that cannot be worked on: %v", err)
		}
		w.mu.Lock()
		w.slices = append(w.slices, s)
		w.mu.Unlock()
		if answer == nil {
			return
		}
		if r := answer(s); r != nil {
			w.publishResult(ctx, *r)
		}
	})
	return w
}

func (w *world) note(list *[]string, body []byte) {
	e, err := message.Peek(body)
	if err != nil {
		w.t.Errorf("junk: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	*list = append(*list, e.MsgType)
}

func (w *world) publishResult(ctx context.Context, r message.SliceResult) {
	body, err := json.Marshal(r)
	if err != nil {
		w.t.Error(err)
	}
	w.publish(ctx, body, r.RunID.String(), r.Namespace)
}

func (w *world) publish(ctx context.Context, body []byte, run, namespace string) {
	err := w.link.Publish(ctx, broker.Out{
		Destination: message.TopicResults, Body: body, Headers: []string{"run_id", run, "namespace", namespace},
	})
	if err != nil && ctx.Err() == nil {
		w.t.Error(err)
	}
}

// done is a worker's answer to a slice.
func done(s message.Slice) *message.SliceResult {
	o, _ := s.Content.Object()
	return &message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: s.RunID, Namespace: s.Namespace, CreatedAt: message.At(time.Now()),
		Content: message.ResultContent{
			RequestedAt: s.CreatedAt, State: message.StateDone, ReqID: s.Content.ReqID, Attempt: s.Content.Attempt,
			Result: message.Outcome{State: true, Result: o},
		},
	}
}

// failed is a worker's answer to a slice that it could not process.
func failed(s message.Slice, retryable bool) *message.SliceResult {
	r := done(s)
	r.Content.State, r.Content.Result.State = message.StateFailed, false
	r.Content.Failure = &message.Failure{Code: 10, Name: "payload_failed", Class: "payload", Retryable: retryable, Message: "it broke"}
	return r
}

func newLink(t *testing.T, addr string) *broker.Link {
	t.Helper()
	l, err := broker.New(broker.Config{Addrs: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// config is a small run as fast as possible, in folders of its own.
func config(t *testing.T) daq.Config {
	t.Helper()
	c := daq.DefaultConfig()
	c.Run, c.Namespace, c.Data, c.Fast = "100001", "test", t.TempDir(), true
	c.STFCount, c.Frames, c.SlicesPerSample, c.TFFilesPerSTF = 2, 10, 4, 2
	return c
}

// start takes a run with the journal in state, on a link of its own.
func (w *world) start(ctx context.Context, state string, c daq.Config) (daq.Report, error) {
	w.t.Helper()
	j, err := journal.Open(state, c.Run)
	if err != nil {
		return daq.Report{}, err
	}
	defer func() { _ = j.Close() }()
	src, err := detsim.New(detsim.Config{Collisions: 1}, c.Seed)
	if err != nil {
		w.t.Fatal(err)
	}
	link := newLink(w.t, w.addr)
	d, err := daq.New(link, src, j, c)
	if err != nil {
		return daq.Report{}, err
	}
	linkCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { _ = link.Run(linkCtx) })
	defer wg.Wait()
	defer cancel()
	return d.Run(ctx, link.Subscribe(stomp.SubscribeOptions{
		Destination: message.QueueResultsFast, Selector: "namespace = 'test' AND run_id = '" + c.Run + "'",
	}))
}
