package harvester_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/explain"
	"tfpilot/internal/exitcode"
)

// pass lets fake time pass.
func pass(d time.Duration) { time.Sleep(d) }

func TestWhatIsMissingIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 3
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		s.expect("queued, as the report of the same look says", s.report().Runs[0].Alive[harvester.Queued], 3)
		s.look(h, 2)
		s.expect("queued", s.count(harvester.Queued), 3)
		s.set(3, harvester.Queued, running)
		s.set(1, harvester.Running, harvester.Status{State: harvester.Ended})
		s.look(h, 2)
		s.expect("jobs", len(s.jobs), 4)
		s.expect("live", len(s.live()), 3)
		s.expect("listings", s.listings, 5)
	})
}

func TestCapsBoundWhatIsSubmittedByOneCommandInALook(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"], s.wanted["2"] = 50, 50
		h := s.harvester(harvester.Config{MaxSubmit: 4, MaxWorkers: 12, MaxQueued: 10})
		for i, n := range []int{4, 8, 10, 10} {
			s.look(h, 1)
			s.expect(fmt.Sprint("jobs after look ", i), len(s.jobs), n)
			s.expect("submissions", len(s.submissions), min(i+1, 3))
		}
		perRun := map[string]int{}
		for _, w := range s.live() {
			perRun[w.RunID]++
		}
		if perRun["1"] < 4 || perRun["2"] < 4 {
			s.t.Errorf("one run took it all: %v", perRun)
		}
		s.set(10, harvester.Queued, running)
		s.look(h, 2)
		s.expect("jobs", len(s.jobs), 12)
		if why := strings.Join(s.report().Why, " "); !strings.Contains(why, "max_workers is 12, and 12 are alive") {
			s.t.Errorf("it says %q", why)
		}
	})
}

func TestLessDemandCancelsWhatIsQueuedAndLetsTheRestFinish(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *site){
		"a demand of none":        func(s *site) { s.wanted["1"] = 0 },
		"a run that is not named": func(s *site) { delete(s.wanted, "1") },
		"an order to drain": func(s *site) {
			_ = s.store.SetDocument(s.t.Context(), harvester.DrainDocument, harvester.Drain{By: "me"})
		},
		"drain while idds is silent": func(s *site) {
			_ = s.store.SetDocument(s.t.Context(), harvester.DrainDocument, harvester.Drain{})
			s.silent = errors.New("no")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inSite(t, func(s *site) {
				s.wanted["1"] = 5
				h := s.harvester(harvester.Config{})
				s.look(h, 1)
				s.set(2, harvester.Queued, running)
				s.look(h, 1)
				end(s)
				s.look(h, 3)
				s.expect("running", s.count(harvester.Running), 2)
				s.expect("queued", s.count(harvester.Queued), 0)
				s.expect("cancel commands", len(s.cancels), 1)
				s.expect("submissions", len(s.submissions), 1)
			})
		})
	}
}

func TestADrainThatIsUndoneSubmitsAgain(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 2
		if err := s.store.SetDocument(s.t.Context(), harvester.DrainDocument, harvester.Drain{By: "me"}); err != nil {
			s.t.Fatal(err)
		}
		h := s.harvester(harvester.Config{})
		s.look(h, 2)
		s.expect("jobs while it drains", len(s.jobs), 0)
		if d := s.report().Drain; d == nil || d.By != "me" {
			s.t.Errorf("the report says of the drain: %+v", d)
		}
		if err := s.store.SetDocument(s.t.Context(), harvester.DrainDocument, nil); err != nil {
			s.t.Fatal(err)
		}
		s.look(h, 1)
		s.expect("jobs", len(s.jobs), 2)
		if d := s.report().Drain; d != nil {
			s.t.Errorf("the report goes on saying %+v", d)
		}
	})
}

func TestWhoeverCannotBeAskedChangesNothing(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 2
		s.guard.Trip = 1000
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		s.set(2, harvester.Queued, running)
		s.look(h, 1)
		s.down = errors.New("slurmctld does not answer")
		s.wanted["1"] = 9
		s.hidden = true // an empty list beside an error says nothing
		s.look(h, 300)
		s.expect("jobs while the batch system is down", len(s.jobs), 2)
		s.expect("live while the batch system is down", len(s.live()), 2)
		if r := s.report(); len(r.Trouble) != 1 || !strings.Contains(strings.Join(explain.Report(r, time.Now()), "\n"), "slurmctld does not answer") {
			s.t.Errorf("%+v", r)
		}
		s.down, s.hidden, s.silent = nil, false, errors.New("no route to host")
		s.look(h, 1)
		s.expect("jobs while idds is down", len(s.jobs), 2)
		s.silent = nil
		s.look(h, 1)
		s.expect("jobs", len(s.jobs), 9)
	})
}

func TestAPartlyRefusedSubmissionIsBookedAsItHappened(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 5
		s.limit = 2
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		s.expect("jobs", len(s.jobs), 2)
		s.expect("live", len(s.live()), 2)
	})
}

func TestAHeldJobIsExplainedAndGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{HeldLimit: time.Minute})
		s.look(h, 1)
		s.set(1, harvester.Queued, harvester.Status{State: harvester.Held, Native: "5 (held)", Reason: "cannot start executable: errno 2"})
		s.look(h, 30)
		if w := s.live()[0]; w.State != harvester.Held || !strings.Contains(w.Reason, "errno 2") {
			s.t.Errorf("%+v", w)
		}
		s.expect("cancels before its time", len(s.cancels), 0)
		s.look(h, 60)
		s.expect("cancels", len(s.cancels), 1)
		if w := s.ended()[0]; w.Cancel == nil || !strings.Contains(w.Cancel.Why, "held for more than 1m0s: cannot start executable") ||
			!strings.Contains(strings.Join(explain.Worker(w, time.Now()), " "), " ago: held for more than 1m0s") {
			s.t.Errorf("%+v: %q", w, explain.Worker(w, time.Now()))
		}
		s.expect("jobs", len(s.jobs), 2)
	})
}

func TestACancelIsSentOnceForEachStart(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		s.wanted["1"] = 0
		s.deaf = true
		s.look(h, 10)
		s.expect("cancels", len(s.cancels), 1)
		s.set(1, harvester.Queued, running) // it was too late, and what runs is let finish
		s.look(h, 10)
		s.set(1, harvester.Running, harvester.Status{State: harvester.Queued, Starts: 1}) // requeued
		s.look(h, 10)
		s.expect("cancels of the second start", len(s.cancels), 2)
	})
}

func TestAStateThatIsNotKnownKeepsTheWorkerAlive(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		s.set(1, harvester.Queued, harvester.Status{State: harvester.Unknown, Native: "HIBERNATING", Reason: `a state that is not known: "HIBERNATING"`})
		s.look(h, 100)
		s.expect("jobs", len(s.jobs), 1)
		s.expect("cancels", len(s.cancels), 0)
		if w := s.live()[0]; w.State != harvester.Unknown || w.Native != "HIBERNATING" {
			s.t.Errorf("%+v", w)
		}
	})
}

func TestTheLastWordsOfAPilotAreItsCause(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 3
		h := s.harvester(harvester.Config{MaxBackoff: time.Hour, LostAfter: time.Minute})
		s.look(h, 1)
		code := s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: 55})[0]
		killed := s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: -1, Signal: 9, Cause: exitcode.SlotMemory})[0]
		words := s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: -1, Signal: 15})[0]
		s.says(killed, `{"phase":"ended","exit":{"name":"interrupted","class":"preempted","cause":"terminated"}}`)
		s.look(h, 1)
		s.says(words, "noise\n"+`{"phase":"ended","totals":{"done":7},"exit":{"name":"walltime","class":"walltime","cause":"4h as SLURM_JOB_END_TIME says"}}`+"\n")
		s.look(h, 1) // its output came later
		got := map[string]harvester.Worker{}
		for _, w := range s.ended() {
			got[w.ID] = w
		}
		for id, want := range map[string][2]string{code: {"idle_timeout", harvester.FromCode}, killed: {"slot_memory", harvester.FromBatch}, words: {"walltime", harvester.FromWords}} {
			if w := got[id]; w.Cause != want[0] || w.CauseFrom != want[1] {
				s.t.Errorf("want %v, got %+v", want, w)
			}
		}
		if w := got[words]; w.LastWords == nil || w.LastWords.Totals.Done != 7 || w.Reason != "4h as SLURM_JOB_END_TIME says" {
			s.t.Errorf("%+v", w)
		}
	})
}

func TestOldWorkersAndTheirFoldersAreForgotten(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 2
		h := s.harvester(harvester.Config{Keep: 24 * time.Hour})
		s.look(h, 1)
		s.set(2, harvester.Queued, running)
		old := s.set(1, harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: 55})[0]
		s.says(old, "{}")
		foreign := filepath.Join(s.dir, "notes.txt")
		if err := os.WriteFile(foreign, nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
		s.look(h, 1)
		pass(48 * time.Hour)
		s.look(h, 1)
		s.expect("ended while one of the submission lives", len(s.ended()), 1)
		s.set(1, harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: 55})
		s.look(h, 1)
		pass(48 * time.Hour)
		s.look(h, 1)
		s.expect("ended", len(s.ended()), 0)
		if _, err := os.Stat(filepath.Join(s.dir, old)); !errors.Is(err, os.ErrNotExist) {
			s.t.Errorf("its folder: %v", err)
		}
		if _, err := os.Stat(foreign); err != nil {
			s.t.Error(err)
		}
	})
}

func TestTheLastLookNotesTheEndsAndSubmitsNothing(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 2
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		s.set(2, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: 59, Reason: "interrupted"})
		if err := h.Settle(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		s.expect("jobs", len(s.jobs), 2)
		for _, w := range s.ended() {
			if w.State != harvester.Ended || w.ExitCode != 59 || w.Reason != "interrupted" {
				s.t.Errorf("%+v", w)
			}
		}
		s.expect("ended", len(s.ended()), 2)
	})
}
