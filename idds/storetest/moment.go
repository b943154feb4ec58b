package storetest

import (
	"fmt"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// moment checks that an answer is of one moment, also while a run goes on: slices and runs go from state to state meanwhile.
func moment(t *testing.T, open func(t testing.TB, dir string) ledger.Store) {
	t.Helper()
	const n = 200
	store := open(t, t.TempDir())
	rules, now := ledger.Rules{MaxAttempts: maxAttempts}, time.Now()
	must(t, store.Update(t.Context(), func(tx ledger.Tx) error {
		for i := range n {
			if err := sent(tx, rules, slice(fmt.Sprintf("s%03d", i), 1, now), now); err != nil {
				return err
			}
		}
		return nil
	}))
	ended := make(chan error, 1)
	go func() {
		var err error
		states := document.KnownRuns()
		for i := 0; err == nil && i < 2*n; i++ { // each slice fails and, later, is done after all
			var f *message.Failure
			if i%2 == 0 {
				f = &message.Failure{Class: "data", Name: "n"}
			}
			err = store.Update(t.Context(), func(tx ledger.Tx) error {
				if err := rules.Result(tx, outcome(slice(fmt.Sprintf("s%03d", i/2), 1, now), "p", f), now); err != nil {
					return err
				}
				r, err := tx.Run(namespace, run)
				if err != nil {
					return err
				}
				r.State = states[i%len(states)]
				return tx.PutRun(r)
			})
		}
		ended <- err
	}()
	for going := true; going; {
		select {
		case err := <-ended:
			must(t, err)
			going = false
		default:
		}
		list, err := store.Slices(t.Context(), ledger.Filter{Namespace: namespace, Run: run})
		must(t, err)
		for i := range list {
			if want := fmt.Sprintf("s%03d", i); list[i].Key.Identity != want {
				t.Fatalf("%s is listed where %s belongs", list[i].Key, want)
			}
		}
		if len(list) != n {
			t.Fatalf("%d of %d slices are listed", len(list), n)
		}
		runs, err := store.FindRuns(t.Context(), ledger.RunFilter{Namespace: namespace, States: document.KnownRuns()})
		if must(t, err); len(runs) != 1 {
			t.Fatalf("a run is listed %d times", len(runs))
		}
		of, counted, err := store.Tally(t.Context(), namespace, run)
		if must(t, err); of.Done != counted[ledger.Done] || of.Failed != counted[ledger.Failed] {
			t.Fatalf("done %d, failed %d; its slices say %v", of.Done, of.Failed, counted)
		}
	}
	if of, counted, err := store.Tally(t.Context(), namespace, "no such run"); of != nil || len(counted) != 0 || err != nil {
		t.Errorf("%+v, %v, %v", of, counted, err)
	}
}
