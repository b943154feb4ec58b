// Package storetest holds a store of idds, and the ledger on it, to accounting: a model that knows nothing but the rules is
// driven through the same messages, in any order, with restarts in between.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/idds"
	"tfpilot/internal/hist"
	"tfpilot/internal/message"
)

const (
	namespace   = "test"
	run         = "100001"
	maxAttempts = 3
)

// Run checks a store. open opens the one that lies in dir, made when it is not there.
func Run(t *testing.T, open func(t testing.TB, dir string) idds.Store) {
	t.Helper()
	t.Run("the ledger agrees with the model", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			m := &machine{dir: t.TempDir(), open: func(dir string) idds.Store { return open(t, dir) }, slices: map[string]*expected{}}
			m.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			m.store = m.open(m.dir)
			defer func() { _ = m.store.Close() }()
			rt.Repeat(rapid.StateMachineActions(m))
		})
	})
	t.Run("a transaction that fails leaves nothing", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		failure := errors.New("on purpose")
		err := store.Update(t.Context(), func(tx idds.Tx) error {
			return errors.Join(sent(tx, idds.Ledger{}, slice("a", 1, time.Now()), time.Now()), failure)
		})
		runs, rerr := store.Runs(t.Context(), "")
		if !errors.Is(err, failure) || len(runs) != 0 || rerr != nil {
			t.Errorf("%v, %v, %v", err, runs, rerr)
		}
	})
	t.Run("slices come in pages, over runs with the same identities too", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		const n = 25
		if err := store.Update(t.Context(), func(tx idds.Tx) error {
			for i := range 2 * n {
				m := slice(fmt.Sprintf("s%02d", i/2), 1, time.Now())
				m.RunID = message.Run(strconv.Itoa(100001 + i%2))
				if err := sent(tx, idds.Ledger{}, m, time.Now()); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, f := range []idds.Filter{
			{Namespace: namespace, Run: run, Limit: 10},
			{Namespace: namespace, Limit: 10},
			{Limit: 10},
			{States: []idds.SliceState{idds.Outstanding}, Limit: 10},
		} {
			var got []idds.Key
			for {
				page, err := store.Slices(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for i := range page {
					got = append(got, page[i].Key)
				}
				if len(page) < f.Limit {
					break
				}
				f.After = got[len(got)-1]
			}
			var want []idds.Key
			for i := range 2 * n {
				id := strconv.Itoa(100001 + i/n)
				if f.Run == "" || f.Run == id {
					want = append(want, idds.Key{Namespace: namespace, Run: id, Identity: fmt.Sprintf("s%02d", i%n)})
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: %s", f, diff)
			}
		}
	})
}

// expected is what the rules say of one slice: the sets of attempts that were sent and that ended.
type expected struct {
	sent, failed, lost map[int]bool
	done               bool
	final              bool // failed for good before it was done
	unsent             bool // an attempt was decided on and a crash left open whether it was sent
	events             int64
}

// machine is store and model side by side. Its methods are the actions.
type machine struct {
	dir    string
	open   func(dir string) idds.Store
	store  idds.Store
	now    time.Time
	slices map[string]*expected
}

func (m *machine) ledger() idds.Ledger { return idds.Ledger{MaxAttempts: maxAttempts} }

func (m *machine) update(rt *rapid.T, fn func(tx idds.Tx) error) {
	m.now = m.now.Add(time.Millisecond)
	if err := m.store.Update(context.Background(), fn); err != nil {
		rt.Fatal(err)
	}
}

func (m *machine) of(identity string) *expected {
	e := m.slices[identity]
	if e == nil {
		e = &expected{sent: map[int]bool{}, failed: map[int]bool{}, lost: map[int]bool{}}
		m.slices[identity] = e
	}
	return e
}

// latest is the highest attempt that anybody has heard of.
func (e *expected) latest() (n int) {
	for _, set := range []map[int]bool{e.sent, e.failed, e.lost} {
		for a := range set {
			n = max(n, a)
		}
	}
	return n
}

func (e *expected) outstanding() bool {
	for a := range e.sent {
		if !e.failed[a] && !e.lost[a] {
			return true
		}
	}
	return false
}

// settle makes the slice final when nothing of it is outstanding and the last end allows no other attempt.
func (e *expected) settle(retryable bool) {
	if !e.done && !e.outstanding() && (!retryable || e.latest() >= maxAttempts) {
		e.final = true
	}
}

func identities(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "slice")
}

// Send is a producer's publication, which may be repeated.
func (m *machine) Send(rt *rapid.T) {
	id := identities(rt)
	e := m.of(id)
	e.sent[1] = true
	m.update(rt, func(tx idds.Tx) error { return sent(tx, m.ledger(), slice(id, 1, m.now), m.now) })
}

// Done is a good result, of any attempt, before or after its slice, once or more.
func (m *machine) Done(rt *rapid.T) {
	id, n := identities(rt), rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
	e := m.of(id)
	events := rapid.Int64Range(1, 9).Draw(rt, "events")
	if !e.done {
		e.done, e.events = true, events
	}
	if e.latest() == 0 {
		e.sent[n] = true
	}
	m.result(rt, id, n, message.StateDone, nil, events)
}

// Fail is a bad result.
func (m *machine) Fail(rt *rapid.T) {
	id, n := identities(rt), rapid.IntRange(1, maxAttempts).Draw(rt, "attempt")
	retryable := rapid.Bool().Draw(rt, "retryable")
	e := m.of(id)
	known := e.failed[n]
	if !e.done && !known {
		e.failed[n] = true
		delete(e.lost, n)
		e.settle(retryable)
	}
	m.result(rt, id, n, message.StateFailed, &message.Failure{Name: "payload_failed", Class: "payload", Retryable: retryable}, 0)
}

func (m *machine) result(rt *rapid.T, id string, attempt int, state string, f *message.Failure, events int64) {
	h := hist.New1D("h", "h", "", 4, 0, 4)
	h.Fill(1)
	pictures, err := json.Marshal(hist.Set{*h})
	if err != nil {
		rt.Fatal(err)
	}
	var copied message.Object
	if err := json.Unmarshal([]byte(`{"req_id":"`+id+`"}`), &copied); err != nil {
		rt.Fatal(err)
	}
	r := message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
		Content: message.ResultContent{
			State: state, ReqID: message.Text(id), Attempt: message.NewInt(int64(attempt)), Failure: f, Result: message.Outcome{Result: copied},
		},
	}
	if state == message.StateDone {
		r.Content.Counts, r.Content.Histograms = map[string]int64{"events": events}, pictures
	}
	m.update(rt, func(tx idds.Tx) error { return m.ledger().Result(tx, r, m.now) })
}

// Lose is a dead letter, or an attempt that no worker holds.
func (m *machine) Lose(rt *rapid.T) {
	id := identities(rt)
	e := m.of(id)
	n := e.latest()
	if n == 0 {
		delete(m.slices, id)
		return
	}
	if e.sent[n] && !e.failed[n] && !e.lost[n] && !e.done && !e.final {
		e.lost[n] = true
		e.settle(true)
	}
	m.update(rt, func(tx idds.Tx) error {
		return m.ledger().Lost(tx, idds.Key{Namespace: namespace, Run: run, Identity: id}, n, "lost", m.now)
	})
}

// Resend lets time pass and sends what is due, now and then with a crash before the confirmation.
func (m *machine) Resend(rt *rapid.T) {
	m.now = m.now.Add(time.Hour)
	due, err := m.store.Due(context.Background(), m.now)
	if err != nil {
		rt.Fatal(err)
	}
	for i := range due {
		k := due[i].Key
		var again *message.Slice
		m.update(rt, func(tx idds.Tx) (err error) {
			again, err = m.ledger().Resend(tx, k, m.now)
			return err
		})
		e := m.slices[k.Identity]
		if again == nil {
			if e.unsent && !e.done && !e.final {
				rt.Fatalf("slice %s was not sent again after the crash", k.Identity)
			}
			continue
		}
		if e.done || e.final {
			rt.Fatalf("slice %s is final and sent again", k.Identity)
		}
		n := again.Content.AttemptNumber()
		if n > maxAttempts || e.outstanding() && !e.sent[n] {
			rt.Fatalf("attempt %d of %s: %+v", n, k.Identity, e)
		}
		e.sent[n] = true
		if e.unsent = rapid.Bool().Draw(rt, "crash"); e.unsent {
			m.restart()
			continue
		}
		m.update(rt, func(tx idds.Tx) error { return m.ledger().Confirm(tx, k, again.Content.AttemptNumber()) })
		// The echo on idds' own queue.
		m.update(rt, func(tx idds.Tx) error { return sent(tx, m.ledger(), *again, m.now) })
	}
}

// Restart opens the store anew.
func (m *machine) Restart(*rapid.T) { m.restart() }

func (m *machine) restart() {
	_ = m.store.Close()
	m.store = m.open(m.dir)
}

// Check compares after every action.
func (m *machine) Check(rt *rapid.T) {
	ctx := context.Background()
	list, err := m.store.Slices(ctx, idds.Filter{Namespace: namespace, Run: run})
	if err != nil {
		rt.Fatal(err)
	}
	if len(list) != len(m.slices) {
		rt.Fatalf("%d slices in the store, %d in the model", len(list), len(m.slices))
	}
	done, failed, events := 0, 0, int64(0)
	for i := range list {
		s := &list[i]
		e := m.slices[s.Key.Identity]
		want := "open"
		switch {
		case e.done:
			want = "done"
			done++
			events += e.events
		case e.final:
			want = "failed"
			failed++
		}
		got := string(s.State)
		if !s.State.Final() {
			got = "open"
		}
		if got != want {
			rt.Fatalf("slice %s is %s (%s), want %s: %+v", s.Key.Identity, got, s.State, want, e)
		}
	}
	runs, err := m.store.Runs(ctx, namespace)
	if err != nil {
		rt.Fatal(err)
	}
	if len(runs) == 0 {
		return
	}
	r := runs[0]
	type counts struct {
		published, done, failed int
		events                  int64
	}
	if diff := cmp.Diff(counts{len(list), done, failed, events}, counts{r.Published, r.Done, r.Failed, r.Counts["events"]}, cmp.AllowUnexported(counts{})); diff != "" {
		rt.Fatal(diff)
	}
	set, err := m.store.MergedHistograms(ctx, namespace, run)
	if err != nil {
		rt.Fatal(err)
	}
	entries := 0.0
	if h := set.Find("h"); h != nil {
		entries = h.Entries
	}
	if entries != float64(done) {
		rt.Fatalf("the histogram has %g entries of %d done slices", entries, done)
	}
}

// sent hands a slice to the ledger with the body that it would have come in.
func sent(tx idds.Tx, l idds.Ledger, m message.Slice, now time.Time) error {
	body, err := json.Marshal(m)
	return errors.Join(err, l.Sent(tx, m, body, now))
}

func slice(identity string, attempt int, at time.Time) message.Slice {
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(at), Namespace: namespace,
		Content: message.SliceContent{
			ReqID: message.Text(identity), Filename: "f", Start: message.NewInt(0), End: message.NewInt(9), Attempt: message.NewInt(int64(attempt)),
		},
	}
}
