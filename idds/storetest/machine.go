package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

const (
	quietEnd   = 10 * time.Second
	runTimeout = 30 * time.Minute
)

// machine is store and model side by side. Its methods are the actions.
type machine struct {
	dir   string
	open  func(dir string) ledger.Store
	store ledger.Store
	now   time.Time
	model model
	rules ledger.Rules
}

func newMachine(dir string, open func(dir string) ledger.Store, duties ledger.Duties) *machine {
	return &machine{
		dir: dir, open: open, store: open(dir), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), model: model{slices: map[string]*expected{}},
		rules: ledger.Rules{MaxAttempts: maxAttempts, Sender: "us", Duties: duties},
	}
}

func (m *machine) ledger() ledger.Rules { return m.rules }

func (m *machine) update(rt *rapid.T, fn func(tx ledger.Tx) error) {
	if err := m.store.Update(context.Background(), fn); err != nil {
		rt.Fatal(err)
	}
	m.now = m.now.Add(time.Millisecond)
}

func identities(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "slice")
}

// Send is a producer's publication, which may be repeated.
func (m *machine) Send(rt *rapid.T) {
	id := identities(rt)
	m.model.tell()
	m.model.of(id).publish(1, m.now)
	m.model.lastSlice = m.now
	m.update(rt, func(tx ledger.Tx) error { return sent(tx, m.ledger(), slice(id, 1, m.now), m.now) })
}

// Announce is the announcement of the run, which may come when all is over.
func (m *machine) Announce(rt *rapid.T) {
	m.model.tell()
	m.update(rt, func(tx ledger.Tx) error {
		return m.ledger().Announce(tx, message.RunImminentWorker{RunID: message.Run(run), Namespace: namespace}, m.now)
	})
}

// Expire looks whether nobody has told of the run, now or much later.
func (m *machine) Expire(rt *rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{0, runTimeout, runTimeout + time.Minute}).Draw(rt, "later"))
	left := m.left(rt)
	m.model.expire(m.now)
	m.update(rt, func(tx ledger.Tx) error { return m.ledger().Expire(tx, namespace, run, left, runTimeout, m.now) })
}

// Done is a good result, of any attempt, before or after its slice, once or more.
func (m *machine) Done(rt *rapid.T) {
	id, n := identities(rt), rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
	events := rapid.Int64Range(1, 9).Draw(rt, "events")
	m.model.finish(m.model.of(id), n, events)
	h := hist.New1D("h", "h", "", 4, 0, 4)
	h.Fill(1)
	pictures, err := json.Marshal(hist.Set{*h})
	if err != nil {
		rt.Fatal(err)
	}
	m.result(rt, message.ResultContent{
		State: message.StateDone, ReqID: message.Text(id), Attempt: message.NewInt(int64(n)), Counts: map[string]int64{"events": events}, Histograms: pictures,
	})
}

// Fail is a bad result.
func (m *machine) Fail(rt *rapid.T) {
	id, n := identities(rt), rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
	retryable := rapid.Bool().Draw(rt, "retryable")
	m.model.fail(m.model.of(id), n, retryable)
	m.result(rt, message.ResultContent{
		State: message.StateFailed, ReqID: message.Text(id), Attempt: message.NewInt(int64(n)),
		Failure: &message.Failure{Name: "payload_failed", Class: "payload", Retryable: retryable},
	})
}

// FailOfPeer is a bad result that says no more than when it was asked for.
func (m *machine) FailOfPeer(rt *rapid.T) {
	at := m.now.Add(time.Second) // nobody's
	var fits *expected
	attempt := 0
	if ids := slices.Sorted(maps.Keys(m.model.slices)); len(ids) > 0 {
		e := m.model.slices[rapid.SampledFrom(ids).Draw(rt, "slice")]
		attempt = rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
		if asked, ok := e.asked[attempt]; ok {
			at, fits = asked, e
		}
	}
	if fits == nil {
		m.model.unmatched++
	} else {
		m.model.fail(fits, attempt, true)
	}
	m.result(rt, message.ResultContent{State: message.StateFailed, RequestedAt: message.At(at)})
}

// FailOfPeerBeforeItsSlice is a bad result of that kind that is faster than the copy of its slice.
func (m *machine) FailOfPeerBeforeItsSlice(rt *rapid.T) {
	id, at := identities(rt), m.now.Add(10*time.Microsecond) // nobody's yet
	if e := m.model.slices[id]; e != nil && e.known[1] {
		return // it would not be the first to tell of the attempt
	}
	m.model.tell()
	times := rapid.IntRange(1, 2).Draw(rt, "times")
	for range times {
		m.result(rt, message.ResultContent{State: message.StateFailed, RequestedAt: message.At(at)})
	}
	if rapid.Bool().Draw(rt, "restart") {
		m.restart()
	}
	e := m.model.of(id)
	e.publish(1, at)
	for range times {
		m.model.fail(e, 1, true)
	}
	m.model.lastSlice = m.now
	m.update(rt, func(tx ledger.Tx) error { return sent(tx, m.ledger(), slice(id, 1, at), m.now) })
}

func (m *machine) result(rt *rapid.T, c message.ResultContent) {
	if id := c.ReqID; id != "" {
		if err := json.Unmarshal([]byte(`{"req_id":"`+string(id)+`"}`), &c.Result.Result); err != nil {
			rt.Fatal(err)
		}
	}
	r := message.SliceResult{MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace, Content: c}
	m.model.hear(m.now)
	m.update(rt, func(tx ledger.Tx) error {
		if err := m.ledger().Result(tx, r, m.now); !errors.Is(err, ledger.ErrUnmatched) {
			return err
		}
		return nil
	})
}

// SendMore is another program's publication of a further attempt: his duty, or ours.
func (m *machine) SendMore(rt *rapid.T) {
	id, n := identities(rt), rapid.IntRange(2, maxAttempts).Draw(rt, "attempt")
	if e := m.model.of(id); !e.known[n] && m.rules.RetryOwner != ledger.Other {
		m.model.actors++
	}
	m.model.tell()
	m.model.of(id).publish(n, m.now)
	m.model.lastSlice = m.now
	m.update(rt, func(tx ledger.Tx) error { return sent(tx, m.ledger(), slice(id, n, m.now), m.now) })
}

// Bury is a dead letter, which may come before the copy of its slice.
func (m *machine) Bury(rt *rapid.T) {
	id := identities(rt)
	m.model.tell()
	e := m.model.of(id)
	e.publish(1, m.now)
	e.lose(1)
	m.model.lastSlice = m.now
	m.update(rt, func(tx ledger.Tx) error {
		return errors.Join(sent(tx, m.ledger(), slice(id, 1, m.now), m.now), m.ledger().Lost(tx, ledger.Key{Namespace: namespace, Run: run, Identity: id}, 1, "dead", m.now))
	})
}

// Silence is a pilot that is heard of no more, with attempts of two slices in hand.
func (m *machine) Silence(rt *rapid.T) {
	pilot, forEver := rapid.SampledFrom([]string{"p1", "p2", "p3", "p4"}).Draw(rt, "pilot"), rapid.Bool().Draw(rt, "for ever")
	w := document.WorkerReport{PilotID: pilot, Namespace: namespace, RunID: run}
	for range 2 {
		id, n := identities(rt), rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
		in := document.SliceInHand{Identity: id, RunID: run, Attempt: n}
		if rapid.Bool().Draw(rt, "running") {
			in.RunningSince = m.now
		}
		w.InHand = append(w.InHand, in)
		if e := m.model.slices[id]; e != nil && !in.RunningSince.IsZero() {
			e.down(pilot, n, forEver)
		}
	}
	m.update(rt, func(tx ledger.Tx) error { return m.ledger().Down(tx, w, forEver, m.now) })
}

// StopOfAnother is a stop_transformer that is not ours.
func (m *machine) StopOfAnother(rt *rapid.T) {
	if m.rules.StopSender != ledger.Other {
		m.model.actors++
	} else {
		m.model.hear(m.now)
		m.model.stopped = true
	}
	stop := message.StopTransformer{MsgType: message.TypeStopTransformer, RunID: message.Run(run), Namespace: namespace, Sender: "them"}
	m.update(rt, func(tx ledger.Tx) error {
		_, err := m.ledger().Stop(tx, stop, m.now)
		return err
	})
}

// Lose is an attempt that no worker holds.
func (m *machine) Lose(rt *rapid.T) {
	id, n := identities(rt), rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
	if e := m.model.slices[id]; e != nil {
		e.lose(n)
	}
	m.update(rt, func(tx ledger.Tx) error {
		return m.ledger().Lost(tx, ledger.Key{Namespace: namespace, Run: run, Identity: id}, n, "lost", m.now)
	})
}

// Resend lets time pass and sends what is due, now and then with a crash before the confirmation.
func (m *machine) Resend(rt *rapid.T) {
	m.now = m.now.Add(time.Minute)
	due, err := m.store.Due(context.Background(), namespace, m.now)
	if err != nil {
		rt.Fatal(err)
	}
	if m.rules.RetryOwner == ledger.Other {
		if len(due) > 0 {
			rt.Fatalf("%d slices are due, which is another's to see to", len(due))
		}
		return
	}
	for i := range due {
		m.resend(rt, due[i].Key)
	}
	for id, e := range m.model.slices {
		if e.sent[1] && !e.done && !e.final && !e.outstanding() {
			rt.Fatalf("slice %s waits and was not sent: %+v", id, e)
		}
	}
}

func (m *machine) resend(rt *rapid.T, k ledger.Key) {
	var again *message.Slice
	at := m.now
	m.update(rt, func(tx ledger.Tx) (err error) {
		again, err = m.ledger().Resend(tx, k, at)
		return err
	})
	e := m.model.slices[k.Identity]
	if again == nil {
		if e.unsent != 0 && !e.done && !e.final {
			rt.Fatalf("slice %s was not sent again after the crash", k.Identity)
		}
		return
	}
	if e.done || e.final {
		rt.Fatalf("slice %s is final and sent again", k.Identity)
	}
	n := again.Content.AttemptNumber()
	if n > maxAttempts || e.outstanding() && !e.sent[n] {
		rt.Fatalf("attempt %d of %s: %+v", n, k.Identity, e)
	}
	e.publish(n, at)
	if rapid.Bool().Draw(rt, "crash") {
		e.unsent = n
		m.restart()
		return
	}
	m.update(rt, func(tx ledger.Tx) error { return m.ledger().Confirm(tx, k, n) })
	m.model.tell()
	m.model.lastSlice = m.now
	m.update(rt, func(tx ledger.Tx) error { return sent(tx, m.ledger(), *again, m.now) }) // the echo on idds' own queue
}

// End is the producer's, with or without a number of slices.
func (m *machine) End(rt *rapid.T) {
	r := message.EndRun{MsgType: message.TypeEndRun, RunID: message.Run(run), Namespace: namespace}
	if n := rapid.IntRange(0, 3).Draw(rt, "total"); n > 0 {
		m.model.total, r.Content.TotalSlices = n, message.NewInt(int64(n))
	}
	m.model.tell()
	if !m.model.ended {
		m.model.ended, m.model.endedAt = true, m.now
	}
	m.update(rt, func(tx ledger.Tx) error { return m.ledger().End(tx, r, m.now) })
}

// Close looks whether the run is over, now or much later.
func (m *machine) Close(rt *rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{0, quietEnd, runTimeout}).Draw(rt, "later"))
	left := m.left(rt)
	m.model.close(m.now)
	m.update(rt, func(tx ledger.Tx) error {
		_, err := m.ledger().Close(tx, namespace, run, left, quietEnd, runTimeout, m.now)
		return err
	})
}

// left are the slices that are not final.
func (m *machine) left(rt *rapid.T) (keys []ledger.Key) {
	list, err := m.store.Slices(context.Background(), ledger.Filter{Namespace: namespace, Run: run, States: []ledger.SliceState{ledger.Outstanding, ledger.Waiting}})
	if err != nil {
		rt.Fatal(err)
	}
	for i := range list {
		keys = append(keys, list[i].Key)
	}
	return keys
}

// Restart opens the store anew.
func (m *machine) Restart(*rapid.T) { m.restart() }

func (m *machine) restart() {
	_ = m.store.Close()
	m.store = m.open(m.dir)
}
