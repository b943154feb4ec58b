package idds_test

import (
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

func TestAClosedRunKeepsWhatItHasTakenUntilSomethingComesToIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, idds.Config{})
	kept := func(what string, ok func(run ledger.Run) bool) ledger.Run {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			runs, err := r.store.Runs(soon(t), namespace)
			must(t, err)
			if len(runs) == 1 && ok(runs[0]) {
				return runs[0]
			}
			select {
			case <-tick.C:
			case <-soon(t).Done():
				t.Fatalf("waited too long for %s: %+v", what, runs)
			}
		}
	}
	w := r.workers()
	r.send("a")
	r.answer(next(t, w), nil)
	r.end(1)
	run := kept("the latency", func(run ledger.Run) bool { return run.Latency != nil })
	if l := run.Latency.SliceResult; l.N != 1 || l.Max <= 0 || run.State != document.RunClosed {
		t.Errorf("%+v of a run that is %s", l, run.State)
	}
	r.send("straggler")
	kept("the straggler", func(run ledger.Run) bool { return run.Published == 2 && run.Latency == nil })
	r.answer(next(t, w), nil)
	r.end(2)
	kept("the second end", func(run ledger.Run) bool { return run.Latency != nil && run.Latency.SliceResult.N == 2 })
	if c := r.await("the accounting", closed); c.Latency.SliceResult.N != 2 {
		t.Errorf("%+v", c.Latency)
	}
}

// Two queues have no order: the result of a slice may come before it, also before its run is closed.
func TestAClosedRunIsMeasuredAgainWhenTheSliceOfAResultComesLate(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.do(b.result("a", 1, nil), b.end, b.close)
	measured := b.run()
	measure := func(tx ledger.Tx) error { return b.ledger.Measured(tx, &measured, document.RunLatency{}) }
	if b.do(measure); b.run().Latency == nil || measured.State != document.RunClosed {
		t.Errorf("%+v", b.run())
	}
	if b.do(b.sent(1)); b.run().Latency != nil {
		t.Errorf("%+v", b.run())
	}
	if b.do(measure); b.run().Latency != nil { // of before
		t.Errorf("%+v", b.run())
	}
	l, err := b.store.Latencies(t.Context(), namespace, run)
	if must(t, err); len(l.Slice) != 1 {
		t.Errorf("%+v", l)
	}
}
