package idds_test

import (
	"testing"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

// watch is a service whose time the test makes, on a book with one slice, "a", that was sent an hour ago.
type watch struct {
	*book
	service *idds.Service
}

func newWatch(t *testing.T, peers bool) *watch {
	t.Helper()
	w := &watch{book: newBook(t)}
	link, err := broker.New(broker.Config{Addrs: []string{"127.0.0.1:1"}}) // never run
	must(t, err)
	w.service, err = idds.New(w.store, link, logging.Discard(), idds.Config{Namespace: namespace})
	must(t, err)
	w.service.SetClock(func() time.Time { return w.now })
	w.service.SetBehind(false)
	w.do(w.sent(1))
	if peers {
		w.do(func(tx ledger.Tx) error {
			return w.ledger.Result(tx, message.SliceResult{
				MsgType: message.TypeSliceResult, RunID: message.Run(run), Namespace: namespace,
				Content: message.ResultContent{State: message.StateDone, ReqID: "other"},
			}, w.now)
		})
	}
	w.now = w.now.Add(time.Hour)
	return w
}

// report is a worker's; its clock is wrong by skew, and it is idle since a time when it holds nothing.
func (w *watch) report(pilot string, skew time.Duration, idleFor time.Duration, held ...document.SliceInHand) {
	w.t.Helper()
	at := w.now.Add(skew)
	r := document.WorkerReport{
		PilotID: pilot, Namespace: namespace, RunID: run, Hostname: "node7", Phase: document.WorkerRunning, At: at,
		LinkProven: true, HeartbeatSeconds: 3600, InHand: held,
	}
	if len(held) == 0 {
		r.IdleSince = at.Add(-idleFor)
	}
	_, err := w.service.Report(w.t.Context(), r)
	must(w.t, err)
}

// after lets time pass, looks, and says whether attempt 1 of the slice is lost.
func (w *watch) after(d time.Duration) bool {
	w.t.Helper()
	w.now = w.now.Add(d)
	must(w.t, w.service.FindLost(w.t.Context()))
	list, err := w.store.Slices(w.t.Context(), ledger.Filter{Run: run, Limit: 1})
	must(w.t, err)
	return list[0].State == ledger.Waiting
}

var hand = document.SliceInHand{Identity: "a", RunID: run, Attempt: 1}

func TestABacklogIsNoLoss(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.report("busy", 0, 0, document.SliceInHand{Identity: "b", RunID: run, Attempt: 1})
	if w.after(0) || w.after(10*time.Minute) {
		t.Error("given up by its age")
	}
}

func TestASliceWhoseWorkerLetGoIsGivenTimeForItsResult(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.report("idle", 0, 30*time.Minute)
	w.report("busy", 0, 0, hand)
	if w.after(0) || w.after(2*time.Minute) {
		t.Error("given up in a worker's hand")
	}
	w.report("busy", 0, 0)
	if w.after(0) || w.after(30*time.Second) {
		t.Error("given up at once")
	}
	if !w.after(31 * time.Second) {
		t.Error("not given up")
	}
}

func TestNothingIsLostAsLongAsResultsMayBeWaitingForUs(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.report("idle", 0, 30*time.Minute)
	w.service.SetBehind(true)
	if w.after(0) || w.after(2*time.Minute) {
		t.Error("given up while its result may have been under way")
	}
	w.service.SetBehind(false)
	if w.after(0) || w.after(30*time.Second) {
		t.Error("given up at once")
	}
	if !w.after(31 * time.Second) {
		t.Error("not given up")
	}
}

func TestClocksOfWorkersMayBeWrong(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.report("behind", -time.Hour, time.Second)
	if w.after(0) || w.after(2*time.Minute) {
		t.Error("a worker whose clock is behind was taken for idle")
	}
	w.report("ahead", time.Hour, 10*time.Minute)
	if !w.after(0) {
		t.Error("a worker whose clock is ahead was not taken for idle")
	}
}

// A producer's time may lie hours ahead: it is another machine's, and one without a zone is read as UTC.
func TestTheClockOfAProducerMayBeWrong(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	w.now = w.now.Add(-12 * time.Hour) // the slice is of tomorrow
	w.report("idle", 0, time.Hour)
	if w.after(0) {
		t.Error("given up at once")
	}
	if !w.after(61 * time.Second) {
		t.Error("not given up")
	}
}

func TestAWorkerWithoutARunIsIdleForAllRuns(t *testing.T) {
	t.Parallel()
	w := newWatch(t, false)
	_, err := w.service.Report(t.Context(), document.WorkerReport{
		PilotID: "late", Namespace: namespace, Phase: document.WorkerRunning, At: w.now, IdleSince: w.now.Add(-time.Hour), LinkProven: true, HeartbeatSeconds: 3600,
	})
	must(t, err)
	if w.after(0) || !w.after(time.Minute) {
		t.Error("not given up after a minute")
	}
}

func TestInARunWithPeersALossIsSeenWhenTheyWouldHaveLeft(t *testing.T) {
	t.Parallel()
	w := newWatch(t, true)
	w.report("idle", 0, time.Hour)
	if w.after(0) || w.after(110*time.Second) {
		t.Error("given up while a peer may have it")
	}
	if !w.after(11 * time.Second) {
		t.Error("not given up")
	}
}
