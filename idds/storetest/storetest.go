// Package storetest holds a store of idds, and the ledger on it, to accounting: a model that knows nothing but the rules is
// driven through the same messages, in any order, with restarts in between.
package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

const (
	namespace   = "test"
	run         = "100001"
	maxAttempts = 3
)

// Run checks a store. open opens the one that lies in dir, made when it is not there.
func Run(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	t.Run("the ledger agrees with the model", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			var duties ledger.Duties
			if rapid.Bool().Draw(rt, "others have its duties") {
				duties = ledger.Duties{RetryOwner: ledger.Other, StopSender: ledger.Other}
			}
			m := newMachine(t.TempDir(), func(dir string) ledger.Store { return open(t, dir) }, duties)
			defer func() { _ = m.store.Close() }()
			rt.Repeat(rapid.StateMachineActions(m))
		})
	})
	t.Run("histograms are merged exactly once for each slice", func(t *testing.T) {
		t.Parallel()
		merges(t, open)
	})
	t.Run("a transaction that fails leaves nothing", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		failure := errors.New("on purpose")
		err := store.Update(t.Context(), func(tx ledger.Tx) error {
			return errors.Join(sent(tx, ledger.Rules{}, slice("a", 1, time.Now()), time.Now()), failure)
		})
		runs, rerr := store.Runs(t.Context(), "")
		if !errors.Is(err, failure) || len(runs) != 0 || rerr != nil {
			t.Errorf("%v, %v, %v", err, runs, rerr)
		}
	})
	t.Run("slices come in pages in the order of their coming, over runs with the same identities too", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		const n = 25
		name := func(i int) string { return fmt.Sprintf("s%02d", i*7%n) } // of the i-th slice of a run
		for i := range 2 * n {
			if err := store.Update(t.Context(), func(tx ledger.Tx) error {
				m := slice(name(i/2), 1, time.Now())
				m.RunID = message.Run(strconv.Itoa(100001 + i%2))
				if err := sent(tx, ledger.Rules{}, m, time.Now()); err != nil || i%6 < 4 {
					return err
				}
				return ledger.Rules{}.Result(tx, outcome(m, "p", nil), time.Now())
			}); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range []ledger.Filter{
			{Namespace: namespace, Run: run, Limit: 10},
			{Namespace: namespace, Limit: 10},
			{Limit: 10},
			{States: []ledger.SliceState{ledger.Outstanding, ledger.Done}, Limit: 10},
		} {
			var got []ledger.Key
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
			var want []ledger.Key
			for i := range 2 * n {
				id := strconv.Itoa(100001 + i/n)
				if f.Run == "" || f.Run == id {
					want = append(want, ledger.Key{Namespace: namespace, Run: id, Identity: name(i % n)})
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: %s", f, diff)
			}
		}
	})
	t.Run("slices are found by state, also where few are in it", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		now, rules := time.Now(), ledger.Rules{MaxAttempts: 1}
		if err := store.Update(t.Context(), func(tx ledger.Tx) error {
			for i := range 60 {
				m := slice(fmt.Sprintf("s%02d", i), 1, now)
				m.RunID = message.Run(strconv.Itoa(100001 + i%3))
				if err := sent(tx, rules, m, now); err != nil {
					return err
				}
				if i%20 != 0 {
					continue
				}
				if err := rules.Lost(tx, ledger.Key{Namespace: namespace, Run: m.RunID.String(), Identity: string(m.Content.ReqID)}, 1, "lost", now); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for want, f := range map[string]ledger.Filter{
			"100001/s00 100002/s40 100003/s20": {States: []ledger.SliceState{ledger.Failed}},
			"100002/s40 100003/s20":            {Namespace: namespace, States: []ledger.SliceState{ledger.Failed}, After: ledger.Key{Namespace: namespace, Run: "100001", Identity: "s00"}},
			"100003/s20":                       {Run: "100003", States: []ledger.SliceState{ledger.Failed, ledger.Waiting}},
			"100003/s02 100003/s05":            {Run: "100003", Limit: 2},
			"100001/s00 100001/s03":            {Run: "100001", Limit: 2, States: []ledger.SliceState{ledger.Outstanding, ledger.Failed}},
			"":                                 {States: []ledger.SliceState{ledger.Done}},
		} {
			list, err := store.Slices(t.Context(), f)
			var got []string
			for i := range list {
				got = append(got, list[i].Key.Run+"/"+list[i].Key.Identity)
			}
			if strings.Join(got, " ") != want || err != nil {
				t.Errorf("%+v: %v, want %s, %v", f, got, want, err)
			}
		}
	})
	t.Run("names may be any text", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		now, rules := time.Now(), ledger.Rules{MaxAttempts: maxAttempts}
		names := []string{"'; DROP TABLE slice; --", "<script>", "a\x00b", "\xff\xfe", "%_\\", "\u202e", strings.Repeat("x", 1000)}
		for range 2 { // a slice that is known is known again
			if err := store.Update(t.Context(), func(tx ledger.Tx) error {
				for _, name := range names {
					m := slice(name, 1, now)
					m.RunID, m.Content.Filename = message.Run(name), name
					if err := sent(tx, rules, m, now); err != nil {
						return err
					}
					if err := tx.PutWorker(document.WorkerReport{PilotID: name, Namespace: namespace}, now); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		runs, rerr := store.Runs(t.Context(), namespace)
		list, serr := store.Slices(t.Context(), ledger.Filter{})
		workers, werr := store.Workers(t.Context(), namespace)
		if len(runs) != len(names) || len(list) != len(names) || len(workers) != len(names) || errors.Join(rerr, serr, werr) != nil {
			t.Fatalf("%d runs, %d slices, %d workers of %d, %v", len(runs), len(list), len(workers), len(names), errors.Join(rerr, serr, werr))
		}
		for _, name := range names {
			if of, err := store.Slices(t.Context(), ledger.Filter{Namespace: namespace, Run: name}); err != nil || len(of) != 1 {
				t.Errorf("%q: %d slices, %v", name, len(of), err)
			}
		}
	})
	lists(t, open)
	beside(t, open)
	names(t, open)
	tasks(t, open)
	t.Run("what a slice's message says stays, whenever its result comes", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		now, rules := time.Now(), ledger.Rules{MaxAttempts: maxAttempts}
		publish := func(m message.Slice) func(ledger.Tx) error {
			return func(tx ledger.Tx) error { return sent(tx, rules, m, now) }
		}
		result := func(m message.Slice) func(ledger.Tx) error {
			return func(tx ledger.Tx) error { return rules.Result(tx, outcome(m, "p", nil), now) }
		}
		before, after := slice("before", 1, now), slice("after", 1, now)
		bare := outcome(after, "p", nil) // it knows no file
		bare.Content.Result.Result = nil
		for _, step := range []func(ledger.Tx) error{
			publish(before), result(before), func(tx ledger.Tx) error { return rules.Result(tx, bare, now) }, publish(after), result(after), publish(before),
		} {
			must(t, store.Update(t.Context(), step)) // each in a transaction of its own
		}
		list, err := store.Slices(t.Context(), ledger.Filter{Run: run, Filename: "f", States: []ledger.SliceState{ledger.Done}})
		must(t, err)
		if len(list) != 2 {
			t.Fatalf("%d slices of the file are done, want 2", len(list))
		}
		for i, m := range []message.Slice{before, after} {
			body, err := json.Marshal(m)
			must(t, err)
			if s := list[i]; s.Key.Identity != m.Content.Identity() || string(s.Message) != string(body) || s.End != 9 || s.Attempts[0].PilotID != "p" {
				t.Errorf("%+v, %s", s, s.Message)
			}
		}
	})
	t.Run("an answer is of one moment, also while a run goes on", func(t *testing.T) {
		t.Parallel()
		moment(t, open)
	})
	t.Run("what is due in another namespace is not", func(t *testing.T) {
		t.Parallel()
		store := open(t, t.TempDir())
		now, rules := time.Now(), ledger.Rules{MaxAttempts: maxAttempts}
		if err := store.Update(t.Context(), func(tx ledger.Tx) error {
			theirs := slice("a", 1, now)
			theirs.Namespace = "theirs"
			k := ledger.Key{Namespace: theirs.Namespace, Run: run, Identity: "a"}
			return errors.Join(sent(tx, rules, theirs, now), rules.Lost(tx, k, 1, "lost", now))
		}); err != nil {
			t.Fatal(err)
		}
		for ns, want := range map[string]int{namespace: 0, "theirs": 1} {
			if due, err := store.Due(t.Context(), ns, now.Add(time.Hour)); err != nil || len(due) != want {
				t.Errorf("%d due in %s, want %d, %v", len(due), ns, want, err)
			}
		}
	})
}

// sent hands a slice to the ledger with the body that it would have come in.
func sent(tx ledger.Tx, l ledger.Rules, m message.Slice, now time.Time) error {
	body, err := json.Marshal(m)
	_, serr := l.Sent(tx, m, body, now)
	return errors.Join(err, serr)
}

func slice(identity string, attempt int, at time.Time) message.Slice {
	return message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run(run), CreatedAt: message.At(at), Namespace: namespace,
		Content: message.SliceContent{
			ReqID: message.Text(identity), Filename: "f", Start: message.NewInt(0), End: message.NewInt(9), Attempt: message.NewInt(int64(attempt)),
		},
	}
}
