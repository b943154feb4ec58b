package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/idds"
	"tfpilot/idds/live"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/broker"
	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	namespace = "test"
	run       = "100001"
)

// room is a control room: a store, and a feed of it that runs.
type room struct {
	t     *testing.T
	dir   string
	store ledger.Store // as the service has it: it tells of what is committed
	asked *asked
	feed  *live.Feed
	rules ledger.Rules
	end   func()
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, dir: t.TempDir(), rules: ledger.Rules{MaxAttempts: 2}}
	r.start()
	return r
}

// start starts a service on the store that there is, as after a restart.
func (r *room) start() {
	r.t.Helper()
	store, err := sqlite.Open(r.t.Context(), r.dir, logging.Discard())
	must(r.t, err)
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(r.t, err)
	r.asked = &asked{Store: store}
	r.store = commits.Watch(r.asked, func(c commits.Commit) {
		if r.feed != nil {
			r.feed.Hear(c)
		}
	})
	service, err := idds.New(r.store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(r.t, err)
	r.feed = live.New(live.Config{Service: service, Store: r.store, Namespace: namespace})
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.feed.Run(ctx) }()
	var once atomic.Bool
	r.end = func() {
		if cancel(); once.CompareAndSwap(false, true) {
			must(r.t, <-ended)
			_ = store.Close()
		}
	}
	r.t.Cleanup(r.end)
}

// asked counts what a store is asked, and can be away.
type asked struct {
	ledger.Store

	n    atomic.Int64
	away atomic.Bool
	// silent gives no answer.
	silent atomic.Bool
}

func (a *asked) ask(ctx context.Context) error {
	a.n.Add(1)
	if a.silent.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if a.away.Load() {
		return exitcode.New(exitcode.StoreFailed, "%w: on purpose", ledger.ErrUnavailable)
	}
	return nil
}

func (a *asked) FindRuns(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, error) {
	if err := a.ask(ctx); err != nil {
		return nil, err
	}
	return a.Store.FindRuns(ctx, f)
}

func (a *asked) Failures(ctx context.Context, namespace, run string) ([]ledger.FailureCount, error) {
	if err := a.ask(ctx); err != nil {
		return nil, err
	}
	return a.Store.Failures(ctx, namespace, run)
}

func (a *asked) Latencies(ctx context.Context, namespace, run string) (ledger.Latencies, error) {
	if err := a.ask(ctx); err != nil {
		return ledger.Latencies{}, err
	}
	return a.Store.Latencies(ctx, namespace, run)
}

func (a *asked) MergedHistograms(ctx context.Context, namespace, run string) (hist.Set, error) {
	if err := a.ask(ctx); err != nil {
		return nil, err
	}
	return a.Store.MergedHistograms(ctx, namespace, run)
}

// do makes one transaction.
func (r *room) do(fns ...func(ledger.Tx) error) {
	r.t.Helper()
	must(r.t, r.store.Update(r.t.Context(), func(tx ledger.Tx) error {
		for _, fn := range fns {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return nil
	}))
}

// sent publishes slices, 10 for each super time frame, whose data was taken 2 s ago.
func (r *room) sent(n int) func(ledger.Tx) error { return r.sentIn(namespace, run, n) }

func (r *room) sentIn(namespace, run string, n int) func(ledger.Tx) error {
	return func(tx ledger.Tx) error {
		now := time.Now()
		for i := range n {
			m := message.Slice{
				MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(now.Add(-time.Second)), Namespace: namespace,
				Content: message.SliceContent{
					ReqID: message.Text(fmt.Sprint("s", i)), Filename: fmt.Sprint(i/10, ".stf"), Start: message.NewInt(0), End: message.NewInt(9),
					STFCreatedAt: message.At(now.Add(-2 * time.Second)),
				},
			}
			body, err := json.Marshal(m)
			if err != nil {
				return err
			}
			if _, err := r.rules.Sent(tx, m, body, now); err != nil {
				return err
			}
		}
		return nil
	}
}

// done answers them.
func (r *room) done(from, to int) func(ledger.Tx) error { return r.result(from, to, nil, nil) }

func (r *room) result(from, to int, f *message.Failure, pictures hist.Set) func(ledger.Tx) error {
	return r.resultIn(namespace, run, from, to, f, pictures)
}

func (r *room) resultIn(namespace, run string, from, to int, f *message.Failure, pictures hist.Set) func(ledger.Tx) error {
	return func(tx ledger.Tx) error {
		for i := from; i < to; i++ {
			m := message.SliceResult{
				MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
				Content: message.ResultContent{State: message.StateDone, ReqID: message.Text(fmt.Sprint("s", i)), PilotID: "p", Failure: f},
			}
			if f != nil {
				m.Content.State = message.StateFailed
			}
			if pictures != nil {
				var err error
				if m.Content.Histograms, err = json.Marshal(pictures); err != nil {
					return err
				}
			}
			if err := r.rules.Result(tx, m, time.Now()); err != nil {
				return err
			}
		}
		return nil
	}
}

func (r *room) board() document.Board {
	r.t.Helper()
	b, err := r.feed.Board(r.t.Context(), "")
	must(r.t, err)
	return b
}

// watcher is somebody who follows. Events come one by one: he gets the next when the test has taken the last.
type watcher struct {
	t      *testing.T
	events chan document.Event
	leave  func()
}

func (r *room) follow(seen string) *watcher {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	w := &watcher{t: r.t, events: make(chan document.Event)}
	ended := make(chan error, 1)
	go func() {
		defer close(w.events)
		ended <- r.feed.Follow(ctx, namespace, seen, func(e document.Event) error {
			select {
			case w.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	w.leave = func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			r.t.Error(err)
		}
		ended <- nil
	}
	r.t.Cleanup(w.leave)
	return w
}

// next is the next event.
func (w *watcher) next() document.Event {
	w.t.Helper()
	select {
	case e := <-w.events:
		return e
	case <-time.After(testkit.Patience):
		w.t.Fatal("no event")
		return document.Event{}
	}
}

// until takes events until one is as it should be.
func (w *watcher) until(what string, ok func(document.Event) bool) document.Event {
	w.t.Helper()
	for limit := time.Now().Add(testkit.Patience); ; {
		if e := w.next(); ok(e) {
			return e
		}
		if time.Now().After(limit) {
			w.t.Fatalf("waited too long for %s", what)
		}
	}
}

// showing is an event with a board that shows so many slices as done.
func showing(done int) func(document.Event) bool {
	return func(e document.Event) bool {
		var b document.Board
		return e.Name == document.EventBoard && json.Unmarshal(e.Data, &b) == nil && len(b.Runs) > 0 && b.Runs[0].Slices.Done == done
	}
}
