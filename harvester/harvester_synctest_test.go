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
	"tfpilot/internal/exitcode"
)

// pass lets fake time pass.
func pass(d time.Duration) { time.Sleep(d) }

func TestWhatIsMissingIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 3
		h := s.harvester(harvester.Config{})
		s.look(h, 3)
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
		if err := s.store.SetDocument(s.t.Context(), harvester.DrainDocument, harvester.Drain{}); err != nil {
			s.t.Fatal(err)
		}
		h := s.harvester(harvester.Config{})
		s.look(h, 2)
		s.expect("jobs while it drains", len(s.jobs), 0)
		if err := s.store.SetDocument(s.t.Context(), harvester.DrainDocument, nil); err != nil {
			s.t.Fatal(err)
		}
		s.look(h, 1)
		s.expect("jobs", len(s.jobs), 2)
	})
}

func TestWhoeverCannotBeAskedChangesNothing(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 2
		h := s.harvester(harvester.Config{Guard: harvester.GuardConfig{Trip: 1000}})
		s.look(h, 1)
		s.set(2, harvester.Queued, running)
		s.look(h, 1)
		s.down = errors.New("slurmctld does not answer")
		s.wanted["1"] = 9
		s.hidden = true // an empty list beside an error says nothing
		s.look(h, 300)
		s.expect("jobs while the batch system is down", len(s.jobs), 2)
		s.expect("live while the batch system is down", len(s.live()), 2)
		if r := s.report(); len(r.Trouble) != 1 || !strings.Contains(strings.Join(r.Explain(time.Now()), "\n"), "slurmctld does not answer") {
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

func TestPilotsThatFailAtOnceAreNotStartedOverAndOver(t *testing.T) {
	t.Parallel()
	died := func(code int) harvester.Status {
		return harvester.Status{State: harvester.Ended, ExitCode: code, Node: "n1", StartedAt: time.Now(), EndedAt: time.Now()}
	}
	inSite(t, func(s *site) {
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{MaxBackoff: time.Minute})
		for range 600 {
			s.look(h, 1)
			s.set(1, harvester.Queued, died(31))
		}
		// 1 + 2 + 4 + .. + 32 s, then one a minute.
		if n := len(s.jobs); n < 10 || n > 20 {
			s.t.Errorf("%d were started in ten minutes", n)
		}
		r := s.report()
		if r.Pause.Failures < 5 || !strings.Contains(strings.Join(r.Explain(time.Now()), "\n"), "The pause after the failures ends in") {
			s.t.Errorf("%+v: %v", r.Pause, r.Explain(time.Now()))
		}
		before := len(s.jobs)
		s.look(s.harvester(harvester.Config{MaxBackoff: time.Minute}), 5) // a restart is no way around it
		if n := len(s.jobs); n > before+1 {
			s.t.Errorf("%d more after a restart", n-before)
		}
	})
	t.Run("but those that found no work are no failures", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			s.wanted["1"] = 1
			h := s.harvester(harvester.Config{})
			for range 5 {
				s.look(h, 1)
				s.set(1, harvester.Queued, died(exitcode.IdleTimeout.Code))
			}
			s.expect("jobs", len(s.jobs), 5)
		})
	})
}

func TestPilotsThatWereKilledAtWorkAreReplacedAtOnce(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 3
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		// The batch system's clock is an hour off, which is no reason to think that they live for an hour.
		s.set(3, harvester.Queued, harvester.Status{State: harvester.Running, StartedAt: time.Now().Add(-time.Hour)})
		s.look(h, 5)
		for i := range 3 {
			s.set(1, harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: -1, StartedAt: time.Now().Add(-time.Hour), EndedAt: time.Now().Add(-time.Hour + 5*time.Second)})
			s.look(h, 1)
			s.expect("jobs", len(s.jobs), 3+i+1)
		}
	})
}

func TestJobsRemovedByHandAreReplacedWithBackOff(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{})
		for range 300 {
			s.look(h, 1)
			s.set(1, harvester.Queued, running)
			s.look(h, 1)
			s.set(1, harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: -1, Cause: exitcode.Cancelled, Reason: "CANCELLED by 1001"})
		}
		if n := len(s.jobs); n < 5 || n > 14 {
			s.t.Errorf("%d were started in ten minutes against somebody who removes them", n)
		}
		if w := s.ended()[0]; w.Cause != "cancelled" || w.CauseFrom != harvester.FromBatch || w.Reason != "CANCELLED by 1001" {
			s.t.Errorf("%+v", w)
		}
	})
}

func TestAFailedSubmissionIsOneFailureAndItsReasonIsKept(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 5
		s.refuse = exitcode.New(exitcode.BatchRefused, "sbatch: invalid partition nix")
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		if r := s.report(); len(r.Trouble) != 1 || !strings.Contains(r.Trouble[0].Text, "invalid partition nix") {
			s.t.Errorf("%+v", r.Trouble)
		}
		s.look(h, 59)
		if n := len(s.submissions); n < 4 || n > 7 {
			s.t.Errorf("%d submissions in a minute", n)
		}
		s.expect("live", len(s.live()), 0)
		if w := s.ended()[0]; w.Cause != "batch_refused" || !strings.Contains(w.Reason, "invalid partition nix") || w.State != harvester.Missing {
			s.t.Errorf("%+v", w)
		}
		s.refuse = nil
		s.look(h, 60)
		s.expect("jobs", len(s.jobs), 5)
		if r := s.report(); len(r.Trouble) != 0 {
			s.t.Errorf("%+v", r.Trouble)
		}
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

func TestANodeThatFailsEveryPilotIsKeptAwayFrom(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 4
		h := s.harvester(harvester.Config{MaxBackoff: time.Second, ExcludeFor: time.Hour})
		for i := range 6 {
			s.look(h, 3)
			s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: 30, Node: "bad", Reason: "no space left", StartedAt: time.Now(), EndedAt: time.Now()})
			s.set(3, harvester.Queued, harvester.Status{State: harvester.Running, Node: fmt.Sprint("good", i)})
		}
		s.look(h, 3)
		last := s.submissions[len(s.submissions)-1]
		if len(last.Exclude) != 1 || last.Exclude[0] != "bad" {
			s.t.Errorf("excluded %v", last.Exclude)
		}
		if r := s.report(); len(r.Excluded) != 1 || r.Excluded[0].Why != "no space left" || !strings.Contains(strings.Join(r.Explain(time.Now()), "\n"), "Node bad is kept away from") {
			s.t.Errorf("%+v", r.Excluded)
		}
		pass(9 * time.Hour) // 8 h for the sixth failure
		s.look(h, 1)
		if r := s.report(); len(r.Excluded) != 0 {
			s.t.Errorf("after its time: %+v", r.Excluded)
		}
	})
}

func TestWhatFailsEverywhereIsNotTheFaultOfNodes(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"a wrong token": exitcode.NoCredential.Code, "no space on any node": exitcode.SiteNoSpace.Code} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inSite(t, func(s *site) {
				s.wanted["1"] = 4
				h := s.harvester(harvester.Config{MaxBackoff: time.Second})
				for range 12 {
					s.look(h, 2)
					for i := range 4 {
						s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: code, Node: fmt.Sprint("n", i), StartedAt: time.Now(), EndedAt: time.Now()})
					}
				}
				if r := s.report(); len(r.Excluded) > 2 || (code == exitcode.NoCredential.Code && len(r.Excluded) > 0) {
					s.t.Errorf("%+v", r.Excluded)
				}
			})
		})
	}
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
		if w := s.ended()[0]; w.Cancel == nil || !strings.Contains(w.Cancel.Why, "held for more than 1m0s: cannot start executable") {
			s.t.Errorf("%+v", w)
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
