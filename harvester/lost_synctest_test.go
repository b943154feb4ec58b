package harvester_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tfpilot/harvester"
	"tfpilot/harvester/guard"
)

var errKilled = errors.New("kill -9")

// mortal lets a harvester die at a point of its dealings with store and batch system: each has one before and one after it.
type mortal struct {
	*site
	harvester.Store

	point, die int
}

func (m *mortal) step() {
	if m.point++; m.point == m.die {
		panic(errKilled)
	}
}

func (m *mortal) Put(ctx context.Context, workers ...harvester.Worker) error {
	m.step()
	defer m.step()
	return m.Store.Put(ctx, workers...)
}

func (m *mortal) SetDocument(ctx context.Context, name string, doc any) error {
	m.step()
	defer m.step()
	return m.Store.SetDocument(ctx, name, doc)
}

func (m *mortal) Submit(ctx context.Context, s harvester.Submission) ([]string, error) {
	m.step()
	if m.die == m.point+1 { // in the middle: a part of them is there
		m.limit = s.Count / 2
		_, _ = m.site.Submit(ctx, s)
		m.step()
	}
	m.point++
	defer m.step()
	return m.site.Submit(ctx, s)
}

func (m *mortal) Cancel(ctx context.Context, ids []string) error {
	m.step()
	defer m.step()
	return m.site.Cancel(ctx, ids)
}

// live runs looks until it dies, and reports whether it did.
func (m *mortal) lives(cfg harvester.Config, looks int) (died bool) {
	defer func() {
		if r := recover(); r != nil && r != errKilled { //nolint:errorlint // it is our own value
			panic(r)
		} else if r != nil {
			died = true
		}
	}()
	h := harvester.New(harvester.Parts{Demand: m, Batch: guard.New(m, m.guard), Store: m, Pilot: func(string, string) harvester.Submission { return harvester.Submission{} }}, cfg)
	m.look(h, looks)
	return false
}

func TestNothingIsLostOrDoubledWhereverTheSubmitterDies(t *testing.T) {
	t.Parallel()
	deaths := 0
	for die := 1; ; die++ {
		died := false
		t.Run(fmt.Sprint("at point ", die), func(t *testing.T) {
			inSite(t, func(s *site) {
				cfg := harvester.Config{MaxSubmit: 100, MaxWorkers: 200, MaxQueued: 200, LostAfter: 30 * time.Second}
				m := &mortal{site: s, Store: s.store, die: die}
				s.wanted["1"] = 200
				died = m.lives(cfg, 6)
				s.limit = 1000
				s.look(s.harvester(cfg), 60)
				s.expect("jobs", len(s.jobs), 200)
				for _, w := range s.live() {
					if j := s.jobs[w.ID]; j == nil || j.ID != w.BatchID || w.State != harvester.Queued {
						s.t.Errorf("%+v has the job %+v", w, j)
					}
				}
				s.expect("live", len(s.live()), 200)
				// And on the way down.
				m.die, m.point = die, 0
				s.wanted["1"] = 0
				s.set(20, harvester.Queued, running)
				died = m.lives(cfg, 3) || died
				s.look(s.harvester(cfg), 3)
				s.expect("running", s.count(harvester.Running), 20)
				s.expect("queued", s.count(harvester.Queued), 0)
			})
		})
		if !died {
			break
		}
		deaths++
	}
	if deaths < 20 {
		t.Errorf("it died at %d points only", deaths)
	}
}

func TestAJobThatIsNotListedIsGivenUpOnlyAfterAgeMissesAndTheSecondSource(t *testing.T) {
	t.Parallel()
	start := func(s *site) *harvester.Harvester {
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{LostAfter: time.Minute, MaxBackoff: time.Second})
		s.look(h, 1)
		s.hidden = true
		s.look(h, 50)
		s.expect("jobs while it is young", len(s.jobs), 1)
		return h
	}
	t.Run("listed late", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			h := start(s)
			s.hidden = false
			s.look(h, 100)
			s.expect("jobs", len(s.jobs), 1)
		})
	})
	t.Run("nobody knows it", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			s.look(start(s), 20)
			if w := s.ended()[0]; w.State != harvester.Missing || !strings.Contains(w.Reason, "site does not know it any more") {
				s.t.Errorf("%+v", w)
			}
			s.expect("jobs", len(s.jobs), 2)
		})
	})
	t.Run("the second source knows its end", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			h := start(s)
			s.history[s.live()[0].BatchID] = harvester.Status{State: harvester.Ended, ExitCode: 0, StartedAt: time.Now().Add(-time.Hour), EndedAt: time.Now()}
			s.look(h, 1)
			if w := s.ended()[0]; w.State != harvester.Ended || w.Cause != "ok" {
				s.t.Errorf("%+v", w)
			}
		})
	})
	t.Run("the second source cannot be asked", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			h := start(s)
			s.noPast = errors.New("accounting is down")
			s.look(h, 600)
			s.expect("live", len(s.live()), 1)
			s.look(h, 1800) // but not for ever
			s.expect("jobs", len(s.jobs), 2)
		})
	})
	t.Run("the second source says that it runs", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			h := start(s)
			s.history[s.live()[0].BatchID] = running
			s.look(h, 600)
			s.expect("jobs", len(s.jobs), 1)
		})
	})
	t.Run("given up, and there after all", func(t *testing.T) {
		t.Parallel()
		inSite(t, func(s *site) {
			h := start(s)
			s.look(h, 20)
			s.expect("jobs", len(s.jobs), 2)
			s.hidden = false
			s.look(h, 3)
			s.expect("queued", s.count(harvester.Queued), 1) // one too many was cancelled
			s.expect("live", len(s.live()), 1)
		})
	})
}

func TestASubmissionWithoutAnswerIsNotRepeatedBeforeListingsHaveShownThatItIsNotThere(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"that was taken": true, "that was not taken": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inSite(t, func(s *site) {
				s.wanted["1"] = 3
				s.refuse = fmt.Errorf("sbatch hangs: %w", harvester.ErrUnclear)
				if !taken {
					s.limit = 0
				}
				h := s.harvester(harvester.Config{LostAfter: time.Minute})
				s.look(h, 1)
				if w := s.live()[0]; w.State != harvester.Intended && !taken || !strings.Contains(w.Reason, "sbatch hangs") {
					s.t.Errorf("%+v", w)
				}
				s.refuse, s.limit = nil, 1000
				s.look(h, 50)
				s.expect("submissions", len(s.submissions), 1)
				s.look(h, 60)
				s.expect("jobs", len(s.jobs), 3)
				s.expect("live", len(s.live()), 3)
				for _, w := range s.live() {
					if w.BatchID == "" || w.State != harvester.Queued {
						s.t.Errorf("%+v", w)
					}
				}
			})
		})
	}
}

func TestAnAnswerWithTooFewIDsIsNoAnswer(t *testing.T) {
	t.Parallel()
	inSite(t, func(s *site) {
		s.wanted["1"] = 3
		s.forgetful = true
		h := s.harvester(harvester.Config{LostAfter: time.Minute})
		s.look(h, 1)
		s.forgetful = false
		s.look(h, 2)
		s.expect("submissions", len(s.submissions), 1)
		s.expect("jobs", len(s.jobs), 3)
		for _, w := range s.live() {
			if w.BatchID == "" || w.State != harvester.Queued {
				s.t.Errorf("%+v", w)
			}
		}
	})
}

// TestWhateverFailsJobsAreNeitherLostNorDoubled takes a harvester through faults and restarts in any order. What may be said at any
// time is checked on the way; then the faults end, and everything has to come to what is wanted.
func TestWhateverFailsJobsAreNeitherLostNorDoubled(t *testing.T) {
	t.Parallel()
	inSite(t, func(base *site) {
		// A plain T would be asked for the test's deadline, which fake time does not have.
		rapid.Check(struct{ rapid.TB }{base.t}, func(rt *rapid.T) {
			s := &site{t: base.t, store: newMemory(), jobs: map[string]*harvester.Job{}, history: map[string]harvester.Status{}, wanted: map[string]int{}, limit: 1000}
			s.guard = guard.Config{Pause: time.Second, MaxPause: 2 * time.Second}
			cfg := harvester.Config{LostAfter: 20 * time.Second, MaxSubmit: 5, MaxWorkers: 12, MaxBackoff: 10 * time.Second, HeldLimit: time.Hour}
			h := s.harvester(cfg)
			count := func(label string) int { return rapid.IntRange(1, 4).Draw(rt, label) }
			rt.Repeat(map[string]func(*rapid.T){
				"look":        func(*rapid.T) { s.look(h, count("looks")) },
				"demand":      func(*rapid.T) { s.wanted["1"] = rapid.IntRange(0, 10).Draw(rt, "wanted") },
				"another run": func(*rapid.T) { s.wanted["2"] = rapid.IntRange(0, 3).Draw(rt, "wanted") },
				"start":       func(*rapid.T) { s.set(count("n"), harvester.Queued, running) },
				"end": func(*rapid.T) {
					s.set(count("n"), harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: 55})
				},
				"fail": func(*rapid.T) {
					s.set(count("n"), harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: 30, Node: "n"})
				},
				"hold":                 func(*rapid.T) { s.set(1, harvester.Queued, harvester.Status{State: harvester.Held, Reason: "held"}) },
				"release":              func(*rapid.T) { s.set(1, harvester.Held, harvester.Status{State: harvester.Queued}) },
				"requeue":              func(*rapid.T) { s.set(1, harvester.Running, harvester.Status{State: harvester.Queued, Starts: 1}) },
				"purge":                func(*rapid.T) { s.purge() },
				"listing fails":        func(*rapid.T) { s.down = errors.New("down") },
				"history fails":        func(*rapid.T) { s.noPast = errors.New("down") },
				"idds is silent":       func(*rapid.T) { s.silent = errors.New("silent") },
				"listing is late":      func(*rapid.T) { s.hidden = true },
				"submissions hang":     func(*rapid.T) { s.refuse = harvester.ErrUnclear },
				"submissions vanish":   func(*rapid.T) { s.refuse, s.limit = harvester.ErrUnclear, 0 },
				"submissions fail":     func(*rapid.T) { s.refuse = errors.New("refused") },
				"a part is taken":      func(*rapid.T) { s.limit = 1 },
				"all is well":          func(*rapid.T) { s.heal() },
				"the submitter starts": func(*rapid.T) { h = s.harvester(cfg) },
				"": func(rt *rapid.T) {
					sent := map[string]int{}
					for _, ids := range s.cancels {
						for _, id := range ids {
							sent[id]++
						}
					}
					for id, n := range sent {
						if n > 2 { // it was started twice at most
							rt.Fatalf("%d cancels for %s", n, id)
						}
					}
				},
			})
			s.heal()
			s.look(h, 60)
			for run, wanted := range s.wanted {
				alive, queued := 0, 0
				for id, j := range s.jobs {
					if !j.State.Live() {
						continue
					}
					w := s.worker(id)
					if w.State != j.State {
						rt.Fatalf("the store has %+v, the batch system %+v", w, j)
					}
					if w.RunID == run {
						alive++
						if j.State == harvester.Queued {
							queued++
						}
					}
				}
				if alive < wanted && len(s.live()) < cfg.MaxWorkers || alive > wanted && queued > 0 {
					rt.Fatalf("run %s: wanted %d, alive %d, queued %d of them; %+v", run, wanted, alive, queued, s.report())
				}
			}
			for _, w := range s.live() {
				if j := s.jobs[w.ID]; j == nil || !j.State.Live() {
					rt.Fatalf("the store has %+v, the batch system %+v", w, j)
				}
			}
		})
	})
}

// heal ends all faults.
func (s *site) heal() {
	s.down, s.noPast, s.silent, s.refuse, s.hidden, s.limit = nil, nil, nil, nil, false, 1000
}

// purge makes the batch system forget what has ended, into its history.
func (s *site) purge() {
	for id, j := range s.jobs {
		if !j.State.Live() {
			s.history[j.ID] = j.Status
			delete(s.jobs, id)
		}
	}
}

// worker is one of the store.
func (s *site) worker(id string) harvester.Worker {
	s.t.Helper()
	list, err := s.store.Latest(s.t.Context(), 10000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range list {
		if w.ID == id {
			return w
		}
	}
	return harvester.Worker{}
}
