package live_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

var crashed = &message.Failure{Class: "payload", Name: "payload_failed", Retryable: true}

// report is a worker's on a site, with slices of the run in hand and two slots.
func report(pilot, site string, seen time.Time, held ...string) func(ledger.Tx) error {
	w := document.WorkerReport{
		PilotID: pilot, Namespace: namespace, RunID: run, Phase: document.WorkerRunning, At: seen, StartedAt: seen.Add(-100 * time.Second), HeartbeatSeconds: 5,
		Hostname: "node1", Site: site, Slots: 2, Totals: document.WorkerTotals{WallSeconds: 100},
	}
	for _, h := range held {
		w.InHand = append(w.InHand, document.SliceInHand{Identity: h, RunID: run, Attempt: 1, RunningSince: seen})
	}
	return func(tx ledger.Tx) error { return tx.PutWorker(w, seen) }
}

func TestABoardShowsWhatIsInTheLedger(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	now := time.Now()
	r.do(r.sent(40), r.done(0, 20), r.result(20, 23, crashed, nil), r.result(23, 24, &message.Failure{Class: "data", Name: "data_invalid"}, nil),
		report("a", "farm", now, "s24", "s25"), report("b", "farm", now), report("c", "", now, "s26"), report("d", "farm", now.Add(-time.Minute), "s27"))
	b := r.board()
	if len(b.Runs) != 1 {
		t.Fatalf("%d runs", len(b.Runs))
	}
	got := b.Runs[0]
	if s := got.Slices; s.Published != 40 || s.Done != 20 || s.Failed != 1 || got.Waiting != 16 || got.Running != 3 || got.STFs != 4 {
		t.Errorf("%+v, waiting %d, running %d, %d STFs", s, got.Waiting, got.Running, got.STFs)
	}
	if q := got.Recent; q.N != 20 || q.P50 < 1.9 || q.P95 > 30 {
		t.Errorf("from data taken to result: %+v", q)
	}
	if len(got.Failures) != 2 || got.Failures[0] != (document.FailureCount{Class: "data", Name: "data_invalid", Failed: 1}) ||
		got.Failures[1] != (document.FailureCount{Class: "payload", Name: "payload_failed", Retrying: 3}) {
		t.Errorf("%+v", got.Failures)
	}
	n := 0
	for _, h := range got.History {
		n += h.Done
	}
	if n != 20 {
		t.Errorf("%d results in the history", n)
	}
	if len(b.Sites) != 2 || b.Sites[0].Efficiency == nil || *b.Sites[0].Efficiency != 0.5 {
		t.Fatalf("%+v", b.Sites)
	}
	b.Sites[0].Efficiency, b.Sites[1].Efficiency = nil, nil
	if b.Sites[0] != (document.BoardSite{Site: "farm", Running: 2, Silent: 1, Slots: 4, Busy: 2}) || b.Sites[1] != (document.BoardSite{Site: "node1", Running: 1, Slots: 2, Busy: 1}) {
		t.Errorf("%+v", b.Sites)
	}
	if got.Demand == nil || got.Latency.SliceResult.N != 20 {
		t.Errorf("demand %+v, latency %+v", got.Demand, got.Latency)
	}
}

func TestRunsThatNeverEndAreNotRememberedForEver(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	announced := func(i int) func(ledger.Tx) error {
		return func(tx ledger.Tx) error {
			m := message.RunImminentWorker{MsgType: message.TypeRunImminentWorker, Namespace: namespace, RunID: message.Run(fmt.Sprint(200000 + i))}
			return r.rules.Announce(tx, m, time.Now())
		}
	}
	for i := range 200 {
		r.do(announced(i))
	}
	if n := r.feed.Remembered(namespace); n > 50 {
		t.Errorf("%d runs are remembered", n)
	}
	r.do(announced(7)) // one that was forgotten is heard of again
	if b := r.board(); len(b.Runs) != 10 || b.Runs[0].RunID != "200199" {
		t.Errorf("%d runs, the first is %s", len(b.Runs), b.Runs[0].RunID)
	}
}

func TestAfterARestartTheHistoryIsTheSame(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.do(r.sent(40), r.done(0, 20), r.result(20, 23, crashed, nil))
	before := r.board().Runs[0]
	r.end()
	r.feed = nil
	r.start()
	r.do(r.done(30, 35)) // before anybody looks
	w := r.follow("")
	var after document.BoardRun
	w.until("the results of before", func(e document.Event) bool {
		var b document.Board
		must(t, json.Unmarshal(e.Data, &b))
		after = b.Runs[0]
		n := 0
		for _, h := range after.History {
			n += h.Done
		}
		return n == 25
	})
	if after.STFs != before.STFs || after.Slices.Done != 25 || after.Recent.N != 25 || len(after.Failures) != 1 {
		t.Errorf("%+v", after)
	}
	if got := after.History[len(after.History)-1]; got.Outstanding != 15 { // of 40, 25 are done
		t.Errorf("%d are outstanding at last", got.Outstanding)
	}
	if got, want := after.History[0], before.History[0]; !got.At.Equal(want.At) || got.Done < want.Done {
		t.Errorf("begins with %+v, not %+v", got, want)
	}
}

func TestWhoeverIsSlowGetsTheLatestAndNoQueue(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.do(r.sent(100))
	slow, quick := r.follow(""), r.follow("")
	slow.until("the first board", showing(0)) // and then reads nothing
	for i := range 5 {
		r.do(r.done(i, i+1))
		quick.until("a result", showing(i+1))
	}
	for n := 0; ; n++ {
		if e := slow.next(); showing(5)(e) {
			break
		} else if n > 1 { // the one that was on its way, and a picture of the second that has passed
			t.Fatalf("still behind: %.300s", e.Data)
		}
	}
}

func TestWhoComesBackGetsNoBoardThatHeHasSeen(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.do(r.sent(10))
	other := r.follow("") // so that there is one
	last := other.until("a board", showing(0))
	back := r.follow(last.ID)
	r.do(r.done(0, 1))
	if e := back.next(); e.Name != document.EventBoard || e.ID == last.ID {
		t.Errorf("%s %s", e.Name, e.ID)
	}
}

func TestWhileNobodyLooksTheStoreIsNotAsked(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.do(r.sent(10))
	w := r.follow("")
	w.until("a board", showing(0))
	w.leave()
	r.feed.Hear(commits.Commit{}) // a board that was under way when he left is made by now, or asks below
	before := r.asked.n.Load()
	for i := range 10 {
		r.do(r.done(i, i+1))
	}
	if n := r.asked.n.Load() - before; n > 4 {
		t.Errorf("asked %d times", n)
	}
}

func TestMergedHistogramsComeWhenTheyHaveChanged(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.do(r.sent(10))
	w := r.follow("")
	w.until("a board", showing(0))
	h := hist.New1D("h", "", "", 2, 0, 2)
	h.Fill(1)
	entries := func(n int) func(document.Event) bool {
		return func(e document.Event) bool {
			var doc document.HistogramsEvent
			var set hist.Set
			if e.Name != document.EventHistograms {
				return false
			}
			must(t, json.Unmarshal(e.Data, &doc))
			must(t, json.Unmarshal(doc.Histograms, &set))
			return doc.RunID == run && set[0].Entries == float64(n)
		}
	}
	r.do(r.result(0, 3, nil, hist.Set{*h}))
	w.until("three entries", entries(3))
	r.do(r.result(2, 4, nil, hist.Set{*h})) // one of them a second time
	w.until("four entries", entries(4))
	r.follow("").until("all of them for who comes later", entries(4))
}

func TestHistogramsThatAreLargeAreToBeAskedFor(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	var set hist.Set
	for i := range 2 {
		h := hist.New1D(fmt.Sprint("h", i), "", "", hist.MaxBins, 0, 1)
		for bin := range h.Counts {
			h.Counts[bin] = 100_000
		}
		h.Entries, h.SumW = 100_000*hist.MaxBins, 100_000*hist.MaxBins
		set = append(set, *h)
	}
	r.do(r.sent(1), r.result(0, 1, nil, set))
	e := r.follow("").until("histograms", func(e document.Event) bool { return e.Name == document.EventHistograms })
	var doc document.HistogramsEvent
	must(t, json.Unmarshal(e.Data, &doc))
	if !doc.Omitted || doc.Histograms != nil || doc.At == 0 {
		t.Errorf("%.200s", e.Data)
	}
}

func TestTheEndOfTheServiceIsSaid(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.follow("")
	w.next()
	r.end()
	var bye document.ByeEvent
	must(t, json.Unmarshal(w.until("the last event", func(e document.Event) bool { return e.Name == document.EventBye }).Data, &bye))
	if !bye.Back || bye.Reason == "" {
		t.Errorf("%+v", bye)
	}
	if e, more := <-w.events; more {
		t.Errorf("and then %s", e.Name)
	}
}

func TestAStoreThatIsAwayTakesNothingFromTheBoard(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.asked.away.Store(true)
	if _, err := r.feed.Board(t.Context(), ""); err == nil {
		t.Error("a board of nothing")
	}
	r.asked.away.Store(false)
	r.do(r.sent(10), r.done(0, 3))
	w := r.follow("")
	w.until("a board", showing(3))
	r.asked.away.Store(true)
	r.do(r.done(3, 4)) // it can be written
	w.until("what is known all the same", showing(4))
}

// A database server that dies without a word answers nothing and refuses nothing.
func TestAStoreThatIsSilentIsNotWaitedForToShowWhatIsKnown(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	failed := &message.Failure{Class: "payload", Name: "payload_failed"}
	r.do(r.sent(10), r.result(0, 2, failed, nil))
	if b := r.board(); len(b.Runs) != 1 || b.Runs[0].Slices.Failed != 2 {
		t.Fatalf("%+v", b.Runs)
	}
	r.asked.silent.Store(true)
	r.do(r.result(2, 4, failed, nil)) // it is told of what is asked for before the silence
	w := r.follow("")
	w.until("what is known all the same", func(e document.Event) bool {
		var b document.Board
		return e.Name == document.EventBoard && json.Unmarshal(e.Data, &b) == nil && len(b.Runs) == 1 && b.Runs[0].Slices.Failed == 4
	})
	if b := r.board(); len(b.Runs) != 1 || b.Runs[0].Slices.Failed != 4 {
		t.Errorf("%+v", b.Runs)
	}
}

func TestWhatOneNamespaceDoesIsNotOnTheBoardOfAnother(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.do(r.sentIn("theirs", "7", 5), r.sent(3))
	theirs, err := r.feed.Board(t.Context(), "theirs")
	if must(t, err); len(theirs.Runs) != 1 || theirs.Runs[0].RunID != "7" || theirs.Namespace != "theirs" {
		t.Errorf("%+v", theirs.Runs)
	}
	if ours := r.board(); len(ours.Runs) != 1 || ours.Runs[0].RunID != run {
		t.Errorf("%+v", ours.Runs)
	}
}

func TestABoardHasTheLatestRunsThoseFirstThatAreNotOver(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for i := range 25 {
		id := fmt.Sprint(i + 1)
		r.do(r.sentIn(namespace, id, 1))
		if i != 3 { // all but one are over
			r.do(r.resultIn(namespace, id, 0, 1, nil, nil), func(tx ledger.Tx) error {
				return r.rules.End(tx, message.EndRun{RunID: message.Run(id), Namespace: namespace}, time.Now())
			}, func(tx ledger.Tx) error {
				_, err := r.rules.Close(tx, namespace, id, nil, 0, time.Hour, time.Now().Add(time.Minute))
				return err
			})
		}
	}
	for range 2 { // and after a restart
		runs := r.board().Runs
		var ids string
		for i := range runs {
			ids += runs[i].RunID + " "
		}
		if ids != "4 25 24 23 22 21 20 19 18 17 " {
			t.Error(ids)
		}
		r.end()
		r.feed = nil
		r.start()
	}
}

func TestRunsThatNobodyHasAnnouncedAreToldOfAndAreNotOnTheBoard(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for i := range 100 {
		r.do(r.resultIn(namespace, fmt.Sprint("x", i), 0, 2, nil, nil))
	}
	b := r.board()
	if len(b.Runs) != 0 || b.Unannounced == nil || b.Unannounced.Runs != 100 || b.Unannounced.RunID != "x99" {
		t.Errorf("%+v, %+v", b.Runs, b.Unannounced)
	}
	r.do(r.sentIn(namespace, "x5", 3))
	w := r.follow("")
	w.until("the run that is one after all, with all that it has", func(e document.Event) bool {
		var b document.Board
		return e.Name == document.EventBoard && json.Unmarshal(e.Data, &b) == nil && len(b.Runs) == 1 && b.Runs[0].Slices.Done == 2 && b.Runs[0].Slices.Published == 3
	})
}
