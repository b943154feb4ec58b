package idds_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// stray is a good result of a slice of some run, or a peer's failure, which names no slice.
func (b *book) stray(run, identity string) func(ledger.Tx) error {
	return func(tx ledger.Tx) error {
		m := message.SliceResult{
			MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
			Content: message.ResultContent{
				State: message.StateDone, ReqID: message.Text(identity), Attempt: message.NewInt(1), Counts: map[string]int64{"events": 3}, PilotID: "p",
			},
		}
		if identity == "" {
			m.Content = message.ResultContent{State: message.StateFailed, RequestedAt: message.At(b.now)}
		}
		if err := b.ledger.Result(tx, m, b.now); !errors.Is(err, ledger.ErrUnmatched) {
			return err
		}
		return nil
	}
}

func (w *watch) state(run string) document.RunState {
	w.t.Helper()
	list, err := w.store.FindRuns(w.t.Context(), ledger.RunFilter{Namespace: namespace, Run: run})
	must(w.t, err)
	if len(list) == 0 {
		return ""
	}
	return list[0].State
}

// lookBack looks at all runs for which there is nothing to be done.
func (w *watch) lookBack(runs int) {
	w.t.Helper()
	for range runs/100 + 2 {
		must(w.t, w.service.LookBack(w.t.Context()))
	}
}

func TestResultsOfARunThatIsAnnouncedLateCount(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.do(w.stray("7", "a"), w.stray("7", "b"), w.stray("7", ""))
	if s := w.state("7"); s != document.RunUnannounced {
		t.Fatalf("it is %s", s)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.lookBack(1)
	w.do(func(tx ledger.Tx) error {
		return w.ledger.Announce(tx, message.RunImminentWorker{RunID: message.Run("7"), Namespace: namespace}, w.now)
	})
	list, err := w.store.FindRuns(t.Context(), ledger.RunFilter{Run: "7"})
	if must(t, err); len(list) != 1 || list[0].State != document.RunOpen || list[0].Done != 2 || list[0].Counts["events"] != 6 || list[0].Unmatched != 1 {
		t.Errorf("%+v", list)
	}
}

// A restart is noted in runs that are known: not in one of which only results have come, whose acknowledgements it lost.
func TestResultsThatCameTwiceBecauseOfAFaultBeforeTheAnnouncementAreNotUnexplained(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.do(w.stray("7", "a"), w.stray("7", "a"), w.stray("7", "b"))
	announce := func(tx ledger.Tx) error {
		w.now = w.now.Add(time.Second)
		return w.ledger.Announce(tx, message.RunImminentWorker{RunID: message.Run("7"), Namespace: namespace}, w.now)
	}
	w.do(announce, w.stray("7", "b"))
	list, err := w.store.FindRuns(t.Context(), ledger.RunFilter{Run: "7"})
	if must(t, err); len(list) != 1 || list[0].Absorbed != 2 || list[0].Unexplained != 0 {
		t.Errorf("%+v", list)
	}
	w.now = w.now.Add(time.Second)
	w.do(w.stray("7", "c"), announce, w.stray("7", "c"))
	if list, err = w.store.FindRuns(t.Context(), ledger.RunFilter{Run: "7"}); err != nil || list[0].Absorbed != 3 || list[0].Unexplained != 1 {
		t.Errorf("what comes twice without a fault: %+v, %v", list, err)
	}
}

func TestWhatIsLeftOfARunThatNobodyAnnouncesEnds(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	failed := w.result("a", 1, crashed) // of the book's own run, which is known
	w.do(w.stray("8", "a"), w.stray("9", ""), failed, func(tx ledger.Tx) error {
		m := message.SliceResult{RunID: message.Run("8"), Namespace: namespace, Content: message.ResultContent{State: message.StateFailed, ReqID: "b", Attempt: message.NewInt(1), Failure: crashed}}
		return w.ledger.Result(tx, m, w.now)
	})
	w.now = w.now.Add(time.Hour)
	w.lookBack(2)
	if s := w.state("9"); s != "" {
		t.Errorf("a run of which nothing is left is %s", s)
	}
	_, tally, err := w.store.Tally(t.Context(), namespace, "8")
	if must(t, err); tally[ledger.Done] != 1 || tally[ledger.Failed] != 1 {
		t.Errorf("%v", tally)
	}
	if _, tally, err = w.store.Tally(t.Context(), namespace, run); err != nil || tally[ledger.Failed] != 0 {
		t.Errorf("a run that is known: %v, %v", tally, err)
	}
}

func TestARunThatNobodyAnnouncesIsForgottenAfterAWeek(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.do(w.pictured("a", nil), w.stray("8", "a"), w.stray("8", "b"), w.stray("81", "a"))
	w.do(func(tx ledger.Tx) error {
		h := hist.New1D("h", "", "", 1, 0, 1)
		return tx.PutHistograms(namespace, "8", hist.Set{*h})
	})
	w.now = w.now.Add(6 * 24 * time.Hour)
	w.lookBack(3)
	w.do(w.stray("81", "b"))
	if s := w.state("8"); s != document.RunUnannounced {
		t.Fatalf("it is %s before", s)
	}
	w.now = w.now.Add(2 * 24 * time.Hour)
	w.lookBack(3)
	if w.state("8") != "" || w.state("81") != document.RunUnannounced || w.state(run) != document.RunOpen {
		t.Errorf("they are %q, %q and %q", w.state("8"), w.state("81"), w.state(run))
	}
	_, tally, err := w.store.Tally(t.Context(), namespace, "8")
	if set, herr := w.store.MergedHistograms(t.Context(), namespace, "8"); len(tally) > 0 || len(set) > 0 || err != nil || herr != nil {
		t.Errorf("%v and %d histograms are left, %v, %v", tally, len(set), err, herr)
	}
	if _, tally, err = w.store.Tally(t.Context(), namespace, "81"); err != nil || tally[ledger.Done] != 2 {
		t.Errorf("of another are left %v, %v", tally, err)
	}
	w.do(w.stray("8", "a")) // it begins anew
	if _, tally, err = w.store.Tally(t.Context(), namespace, "8"); err != nil || tally[ledger.Done] != 1 {
		t.Errorf("after its end: %v, %v", tally, err)
	}
}

// The stop of another is heard of a run that idds knows nothing of: it is no run for that.
func TestAStopOfAnUnknownRunOpensNone(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.ledger.StopSender = ledger.Other
	w.do(func(tx ledger.Tx) error {
		_, err := w.ledger.Stop(tx, message.StopTransformer{RunID: message.Run("9"), Namespace: namespace}, w.now)
		return err
	})
	if open, err := w.store.OpenRuns(t.Context(), namespace); err != nil || len(open) != 1 {
		t.Errorf("%+v, %v", open, err)
	}
	w.now = w.now.Add(time.Hour)
	w.lookBack(1)
	if s := w.state("9"); s != "" {
		t.Errorf("it is %s", s)
	}
}

func TestAFloodOfUnknownRunsIsNoWorkAndGoesAway(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	const n, batch = 20_000, 1000
	for i := 0; i < n; i += batch {
		w.do(func(tx ledger.Tx) error {
			for k := range batch {
				if err := w.stray(fmt.Sprintf("x%06d", i+k), "")(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if open, err := w.store.OpenRuns(t.Context(), namespace); err != nil || len(open) != 1 {
		t.Errorf("there is something to be done for %d runs, %v", len(open), err)
	}
	demand, err := w.service.Demand(t.Context())
	if must(t, err); len(demand.Demands) != 1 {
		t.Errorf("%d runs want workers", len(demand.Demands))
	}
	w.now = w.now.Add(time.Hour)
	w.lookBack(n)
	if list, err := w.store.FindRuns(t.Context(), ledger.RunFilter{}); err != nil || len(list) != 1 {
		t.Errorf("%d runs are left, %v", len(list), err)
	}
}
