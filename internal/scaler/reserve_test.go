package scaler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/demand"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

func TestWarmWorkersServeTheRunThatComes(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, func(p *demand.Policy) { p.Warm = 3 })
	all := s.Decide(nil, nil, s.now)
	if len(all) != 1 || all[0].RunID != "" || all[0].Wanted != 3 || all[0].Namespace != "test" {
		t.Fatalf("%+v between runs", all)
	}
	s.start(3, 20*time.Second)
	for i := range s.workers {
		s.workers[i].RunID, s.workers[i].AnyRun = "", true
	}
	all = s.Decide([]ledger.Run{s.run}, s.workers, s.now)
	if all[0].Wanted != 1 || all[1].Wanted != 3 {
		t.Errorf("%d for the run and %d for any, where 3 of its 4 are kept", all[0].Wanted, all[1].Wanted)
	}
	for i := range s.workers {
		s.workers[i].RunID = "7"
	}
	all = s.Decide([]ledger.Run{s.run}, s.workers, s.now)
	if all[0].Wanted != 1 || all[1].Wanted != 3 {
		t.Errorf("%d for the run and %d for any, where 3 of its 4 have found it", all[0].Wanted, all[1].Wanted)
	}
	if !strings.HasSuffix(all[0].Reason, "; of 4, 3 are kept between runs and serve this one") {
		t.Errorf("%q says nothing of the others", all[0].Reason)
	}
}

func TestAsManyAsAreKeptBetweenRunsStayWhenTheirsIsOver(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, func(p *demand.Policy) { p.Warm = 2 })
	s.start(5, 20*time.Second)
	for i := range s.workers[:3] { // one more than are kept, which was started without a run all the same
		s.workers[i].RunID, s.workers[i].AnyRun = "", true
	}
	stay := func() (out []string) {
		s.Decide([]ledger.Run{s.run}, s.workers, s.now)
		for i := range s.workers {
			if s.Stays(s.workers[i].PilotID) {
				out = append(out, s.workers[i].PilotID)
			}
		}
		return out
	}
	if got := stay(); len(got) != 0 {
		t.Errorf("%v stay where no site asks", got)
	}
	s.Ask("here", 100, s.now)
	if got := stay(); fmt.Sprint(got) != "[pilot-0 pilot-1]" || len(s.leaving()) > 0 {
		t.Errorf("%v stay, and %v leave", got, s.leaving())
	}
	s.now = s.now.Add(time.Minute)
	if got := stay(); fmt.Sprint(got) != "[pilot-0 pilot-1]" || fmt.Sprint(s.leaving()) != "[pilot-2]" {
		t.Errorf("%v stay, and %v leave after a while", got, s.leaving())
	}
	s.workers = append(s.workers[:2], s.workers[3:]...)
	for i := range s.workers {
		s.workers[i].RunID = "7"
	}
	s.run.Workers = 4
	s.pass(100, 1) // which takes one worker
	for range 10 {
		s.Ask("here", 100, s.now)
		s.pass(30, 1)
	}
	if got := stay(); fmt.Sprint(got) != "[pilot-0 pilot-1]" || fmt.Sprint(s.leaving()) != "[pilot-3 pilot-4]" {
		t.Errorf("%v stay, and %v leave a run that needs fewer", got, s.leaving())
	}
	s.workers = s.workers[:1] // the other is gone, and the run has another
	s.start(1, 20*time.Second)
	s.workers[1].AnyRun = true
	if got := stay(); fmt.Sprint(got) != "[pilot-0 pilot-1]" {
		t.Errorf("%v stay when one was replaced", got)
	}
}

// So it is when idds has just been started, or a harvester asks again.
func TestWhoIsChosenToStayIsNotLetGoAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, ledger.RunImminent, func(p *demand.Policy) { p.Warm = 1 })
	s.start(4, 20*time.Second)
	s.workers[0].AnyRun = true // and idle: the first to go
	for i := range s.workers[1:] {
		s.workers[1+i].InHand = []document.SliceInHand{{RunID: "7", Identity: fmt.Sprint("s", i)}}
	}
	s.pass(600, 1)
	s.Ask("here", 100, s.now)
	s.decide()
	if got := s.leaving(); !s.Stays("pilot-0") || len(got) == 0 || got[0] == "pilot-0" {
		t.Errorf("%v leave, and the one in reserve stays: %v", got, s.Stays("pilot-0"))
	}
}
