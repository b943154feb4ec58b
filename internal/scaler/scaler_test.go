package scaler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/demand"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
	"tfpilot/internal/scaler"
	"tfpilot/internal/sums"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// scene is a run with its workers, as a store has them.
type scene struct {
	*testing.T
	*scaler.Scaler

	now     time.Time
	run     ledger.Run
	workers []document.Worker
}

func newScene(t *testing.T, demandFrom string, change func(p *demand.Policy)) *scene {
	t.Helper()
	var p demand.Policy
	config.Defaults(&p)
	if change != nil {
		change(&p)
	}
	return &scene{
		T: t, Scaler: scaler.New(p, "test", demandFrom), now: noon,
		run: ledger.Run{Namespace: "test", RunID: message.Run("7"), State: document.RunOpen, OpenedAt: noon, Workers: 4},
	}
}

// start adds ready workers, which took a time to start.
func (s *scene) start(n int, took time.Duration) {
	for range n {
		id := fmt.Sprintf("pilot-%d", len(s.workers))
		s.workers = append(s.workers, document.Worker{
			WorkerReport: document.WorkerReport{
				PilotID: id, WorkerID: "tfpilot-" + id, Namespace: "test", RunID: "7", Site: "here", Phase: document.WorkerRunning, Slots: 1,
				SubmittedAt: s.now.Add(-took), StartedAt: s.now, ReadyAt: s.now,
			},
			Alive: true,
		})
	}
}

// pass lets seconds pass, in each of which a slice comes and one is done, in so many seconds.
func (s *scene) pass(long, each int) document.RunDemand {
	s.Helper()
	var d document.RunDemand
	for range long {
		s.now = s.now.Add(time.Second)
		s.run.Published, s.run.LastSliceAt = s.run.Published+1, s.now
		if len(s.run.Payloads) == 0 {
			s.run.Payloads = sums.Payloads{{Name: "p", Seconds: map[int]int{}}}
		}
		s.run.Payloads[0].Seconds[demand.Bin(float64(each))]++
		s.run.Done++
		d = s.decide()
	}
	return d
}

func (s *scene) decide() document.RunDemand {
	s.Helper()
	all := s.Decide([]ledger.Run{s.run}, s.workers, s.now)
	return all[0]
}

func (s *scene) leaving() (out []string) {
	for i := range s.workers {
		if s.Leaves(s.workers[i].PilotID) {
			out = append(out, s.workers[i].PilotID)
		}
	}
	return out
}

func TestWhatIsMeasuredStandsInTheDemand(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	if d := s.decide(); d.Wanted != 4 || d.Reason == "" || d.Facts == nil || d.Facts.Asked != 4 {
		t.Errorf("before the first slice: %+v", d)
	}
	s.start(4, 40*time.Second)
	d := s.pass(100, 3)
	f := d.Facts
	if f.SlicesPerSecond != 1 || f.ProcessingSeconds < 2.9 || f.ProcessingSeconds > 3.1 || f.StartupSeconds < 39 || f.StartupSeconds > 41 || f.GoalSeconds != 30 {
		t.Errorf("%+v", f)
	}
	if len(f.Workers) != 1 || f.Workers[0] != (document.DemandWorkers{Site: "here", Ready: 4, Slots: 4}) {
		t.Errorf("%+v", f.Workers)
	}
	if text := strings.Join(d.Reasons, " "); !strings.Contains(text, "1.0 slices come in a second") || !strings.Contains(text, d.Reason) {
		t.Errorf("%q does not tell of that, or not of %q", text, d.Reason)
	}
}

func TestARestartForgetsNoNumber(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	s.start(4, 20*time.Second)
	s.pass(100, 3)
	again := newScene(t, ledger.RunImminent, nil)
	again.run, again.workers, again.now = s.run, s.workers, s.now
	if d := again.decide(); d.Wanted != 4 || d.Facts.ProcessingSeconds < 2.9 || d.Facts.StartupSeconds < 19 {
		t.Errorf("%d wanted after a restart, from %+v", d.Wanted, d.Facts)
	}
}

func TestWorkersThatCouldNotReportDuringARestartAreKept(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	s.start(7, 20*time.Second) // more than were asked for
	s.pass(2, 3)
	again := newScene(t, ledger.RunImminent, nil)
	again.run, again.now = s.run, s.now.Add(time.Minute)
	again.workers = append(again.workers, s.workers...)
	for i := range again.workers {
		again.workers[i].Alive = false
	}
	again.Ask("here", 0, again.now)
	if d := again.decide(); d.Wanted != 7 {
		t.Errorf("%d wanted by a run with 7 workers: %q", d.Wanted, d.Reasons)
	}
	for i := range again.workers { // they have reported
		again.workers[i].Alive = true
	}
	again.pass(30, 3)
	if gone := again.leaving(); len(gone) > 0 {
		t.Errorf("%v leave", gone)
	}
}

func TestARunIsGivenUpFromWhenItWasAnnouncedLast(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	s.now = noon.Add(2 * time.Hour)
	if d := s.decide(); d.Wanted != 0 {
		t.Errorf("%d wanted for a run that was announced two hours ago: %q", d.Wanted, d.Reasons)
	}
	s.run.AnnouncedAt = s.now
	if d := s.decide(); d.Wanted != 4 {
		t.Errorf("%d wanted for one that was announced again: %q", d.Wanted, d.Reasons)
	}
}

func TestWhoIsTooManyLeavesWhenIdleAndSlowFirst(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	s.run.Workers = 5
	s.start(5, 20*time.Second)
	for i := range s.workers {
		s.workers[i].InHand = []document.SliceInHand{{RunID: "7", Identity: "s"}}
		s.workers[i].Totals = document.WorkerTotals{Done: 10, WallSeconds: 30}
	}
	s.workers[1].Totals.WallSeconds = 90
	s.workers[3].InHand = nil
	s.Ask("here", 100, s.now)
	if d := s.pass(25, 3); d.Wanted != 5 || len(s.leaving()) != 0 {
		t.Errorf("%d wanted, %v leave", d.Wanted, s.leaving())
	}
	for range 10 { // as harvesters do
		s.Ask("here", 100, s.now)
		s.pass(30, 3)
	}
	if d := s.decide(); d.Wanted != 3 || fmt.Sprint(s.leaving()) != "[pilot-1 pilot-3]" || d.Facts.Workers[0].Draining != 2 {
		t.Errorf("%d wanted, %v leave: %+v", d.Wanted, s.leaving(), d.Facts.Workers)
	}
	for i := range 3 {
		if s.decide(); len(s.leaving()) != 2 {
			t.Errorf("at look %d %v leave", i, s.leaving())
		}
	}
}

func TestWhoTakesThePlaceOfADeadWorkerIsNotOneTooMany(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	s.start(4, 20*time.Second)
	s.Ask("here", 100, s.now)
	s.pass(20, 3)
	s.start(1, time.Second) // one has died, and nobody knows yet
	if s.pass(10, 3); len(s.leaving()) > 0 {
		t.Errorf("%v leave", s.leaving())
	}
	s.workers[0].Alive = false
	if s.pass(10, 3); len(s.leaving()) > 0 {
		t.Errorf("%v leave, when one is known to be gone", s.leaving())
	}
	s.start(1, time.Second) // one more than are wanted, and nobody has died
	if s.pass(10, 3); len(s.leaving()) > 0 {
		t.Errorf("%v leave too soon", s.leaving())
	}
	if d := s.pass(10, 3); len(s.leaving()) != 1 {
		t.Errorf("%d wanted, %v leave", d.Wanted, s.leaving())
	}
}

func TestNobodyLeavesWhomNoDemandHasStarted(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *scene){
		"by hand": func(s *scene) {
			for i := range s.workers {
				s.workers[i].WorkerID = ""
			}
			s.Ask("here", 100, s.now)
		},
		"by a harvester with a count of its own": func(*scene) {},
	} {
		s := newScene(t, ledger.RunImminent, nil)
		s.start(4, 20*time.Second)
		for range 10 {
			change(s)
			s.pass(30, 1)
		}
		if d := s.decide(); d.Wanted >= 4 || len(s.leaving()) > 0 {
			t.Errorf("%s: %d wanted, %v leave", name, d.Wanted, s.leaving())
		}
	}
}

func TestAWorkflowTaskIsObeyed(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.WorkflowTask, nil)
	s.start(4, 20*time.Second)
	s.Ask("here", 20, s.now)
	if d := s.pass(400, 1); d.Wanted != 4 || len(s.leaving()) > 0 {
		t.Errorf("%d wanted, %v leave: %q", d.Wanted, s.leaving(), d.Reasons)
	}
	s.run.Workers = 0
	if d := s.decide(); d.Wanted != 0 || !strings.Contains(d.Reason, message.TypeCreateWorkflowTask) {
		t.Errorf("%d wanted: %q", d.Wanted, d.Reason)
	}
}

func TestSitesHaveTheirPartsWhileTheyAsk(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, func(p *demand.Policy) { p.Costs = []string{"dear=5"} })
	s.Ask("dear", 10, s.now)
	s.Ask("cheap", 3, s.now)
	if d := s.decide(); fmt.Sprint(d.Sites) != "[{cheap 3} {dear 1}]" {
		t.Errorf("%v", d.Sites)
	}
	s.now = s.now.Add(11 * time.Minute)
	s.Ask("dear", 10, s.now)
	if d := s.decide(); fmt.Sprint(d.Sites) != "[{dear 4}]" {
		t.Errorf("%v long after one was heard of", d.Sites)
	}
}

func TestAStartIsOverWithTheFirstSliceButForTheTimeInWhichNoneWaited(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		waits bool // slices, all the time
		first time.Duration
		want  float64
	}{
		"it has one at once":              {true, 0, 20},
		"slices wait, and it has none":    {true, -1, 0},
		"slices wait until it has one":    {true, 10 * time.Second, 30},
		"none waits, and it is ready":     {false, -1, 20},
		"none waits until one comes late": {false, 10 * time.Second, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, ledger.RunImminent, nil)
			if of.waits {
				s.run.Published, s.run.LastSliceAt = 100, s.now
			}
			s.decide()
			s.start(1, 20*time.Second)
			ready := s.now
			for s.now.Before(ready.Add(12 * time.Second)) {
				if s.decide(); of.first >= 0 && s.now.Equal(ready.Add(of.first)) {
					s.workers[0].FirstSliceAt = s.now
				}
				s.now = s.now.Add(time.Second)
			}
			if got := s.decide().Facts.StartupSeconds; got < 0.97*of.want || got > 1.03*of.want {
				t.Errorf("its start took %g s, want %g", got, of.want)
			}
		})
	}
}

func TestHowADemandWentIsKeptForTheWholeRun(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, nil)
	s.start(3, 20*time.Second)
	s.workers[0].InHand = []document.SliceInHand{{RunID: "7", Identity: "s"}}
	s.workers[1].Slots, s.workers[1].InHand = 4, s.workers[0].InHand
	s.workers[2].Phase = document.WorkerStarting
	s.pass(3, 3)
	s.run.Published += 7
	s.decide()
	s.run.Done += 7
	for range 2 * 3600 {
		s.pass(1, 3)
	}
	all := s.Trace("7")
	if len(all) < 100 || len(all) > 240 || all[0].At.Sub(noon) > time.Minute || !all[len(all)-1].At.Equal(s.now) {
		t.Fatalf("%d points of two hours, from %s to %s", len(all), all[0].At, all[len(all)-1].At)
	}
	most := 0
	for i, p := range all {
		if most = max(most, p.Waiting); i > 0 && !p.At.After(all[i-1].At) {
			t.Errorf("%s comes after %s", p.At, all[i-1].At)
		}
	}
	if p := all[0]; p.Wanted != 4 || p.Started != 3 || p.Ready != 2 || p.Busy != 1.25 || most != 5 { // of 7, 2 are in hand
		t.Errorf("%+v, and %d slices waited at most", p, most)
	}
	if all := s.Trace("8"); len(all) > 0 {
		t.Errorf("%v of a run that there is not", all)
	}
}
