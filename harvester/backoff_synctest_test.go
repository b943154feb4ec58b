package harvester_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/explain"
	"tfpilot/internal/exitcode"
)

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
		if r.Pause.Failures < 5 || !strings.Contains(strings.Join(explain.Report(r, time.Now()), "\n"), "The pause after the failures ends in") {
			s.t.Errorf("%+v: %v", r.Pause, explain.Report(r, time.Now()))
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
		s.refuse = exitcode.WithNext(exitcode.New(exitcode.BatchRefused, "sbatch: token=hunter2: invalid partition nix"), "sinfo lists the partitions")
		h := s.harvester(harvester.Config{})
		s.look(h, 1)
		r := s.report()
		said := strings.Join(explain.Report(r, time.Now()), "\n")
		if len(r.Trouble) != 1 || !strings.Contains(said, "invalid partition nix. Next: sinfo lists the partitions.") || r.Pause.Failures != 1 {
			s.t.Errorf("%+v, %s", r, said)
		}
		s.look(h, 59)
		if n := len(s.submissions); n < 4 || n > 7 {
			s.t.Errorf("%d submissions in a minute", n)
		}
		s.expect("live", len(s.live()), 0)
		if w := s.ended()[0]; w.Cause != "batch_refused" || !strings.Contains(w.Reason, "invalid partition nix") || strings.Contains(w.Reason, "hunter2") || w.State != harvester.Missing {
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
		if r := s.report(); len(r.Excluded) != 1 || r.Excluded[0].Why != "no space left" || !strings.Contains(strings.Join(explain.Report(r, time.Now()), "\n"), "Node bad is kept away from") {
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
