package harvester_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/message"
)

// site is a batch system and an idds whose answers a test sets; the real ones are in harvester/local and internal/e2e.
type site struct {
	t      *testing.T
	store  *sqlite.Store
	jobs   map[string]harvester.Status
	wanted map[string]int
	down   error // of the batch system
	silent error // of idds
	limit  int   // jobs that a submission may have
	lost   bool  // submissions happen, but their answer is lost
}

func newSite(t *testing.T) *site {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &site{t: t, store: store, jobs: map[string]harvester.Status{}, wanted: map[string]int{}, limit: 1000}
}

func (s *site) Name() string { return "site" }

func (s *site) Submit(_ context.Context, sub harvester.Submission) ([]string, error) {
	if s.down != nil {
		return nil, s.down
	}
	var ids []string
	for i := range min(sub.Count, s.limit) {
		id := fmt.Sprintf("job:%s:%d", sub.Tag, i)
		s.jobs[id] = harvester.Status{State: harvester.Queued}
		ids = append(ids, id)
	}
	if s.lost {
		panic("killed")
	}
	if sub.Count > s.limit {
		return ids, errors.New("over the limit")
	}
	return ids, nil
}

func (s *site) Queue(context.Context) ([]harvester.Job, error) {
	var jobs []harvester.Job
	for id, st := range s.jobs {
		part := strings.Split(id, ":")
		i, _ := strconv.Atoi(part[2])
		jobs = append(jobs, harvester.Job{ID: id, Tag: part[1], Index: i, Status: st})
	}
	return jobs, s.down
}

func (s *site) History(context.Context, []string) (map[string]harvester.Status, error) {
	return nil, s.down
}

func (s *site) Check(context.Context) []harvester.Finding { return nil }

func (s *site) Cancel(_ context.Context, ids []string) error {
	for _, id := range ids {
		s.jobs[id] = harvester.Status{State: harvester.Ended, ExitCode: -1}
	}
	return s.down
}

func (s *site) Demand(context.Context) (message.DemandDocument, error) {
	var d message.DemandDocument
	for run, n := range s.wanted {
		d.Demands = append(d.Demands, message.RunDemand{RunID: run, Namespace: "test", Wanted: n})
	}
	return d, s.silent
}

// harvester makes one on the site's store, as after a start.
func (s *site) harvester(cfg harvester.Config) *harvester.Harvester {
	return harvester.New(s, s, s.store, func(run, namespace string) harvester.Submission {
		return harvester.Submission{Path: "pilot", Args: []string{"--run", run, "--namespace", namespace}}
	}, nil, cfg)
}

func (s *site) look(h *harvester.Harvester) {
	s.t.Helper()
	if err := h.Reconcile(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// count is how many jobs are in a state.
func (s *site) count(state harvester.State) (n int) {
	for _, st := range s.jobs {
		if st.State == state {
			n++
		}
	}
	return n
}

// set moves jobs from one state to another.
func (s *site) set(n int, from harvester.State, to harvester.Status) {
	for id, st := range s.jobs {
		if n > 0 && st.State == from {
			s.jobs[id] = to
			n--
		}
	}
}

func (s *site) expect(what string, got, want int) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

var running = harvester.Status{State: harvester.Running}

func TestWhatIsMissingIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 3
	h := s.harvester(harvester.Config{})
	for range 3 {
		s.look(h)
	}
	s.expect("queued", s.count(harvester.Queued), 3)
	s.set(3, harvester.Queued, running)
	s.set(1, harvester.Running, harvester.Status{State: harvester.Ended})
	s.look(h)
	s.look(h)
	s.expect("jobs", len(s.jobs), 4)
	live, err := s.store.Live(t.Context())
	if err != nil || len(live) != 3 {
		t.Errorf("%d live, %v", len(live), err)
	}
}

func TestCapsBoundWhatIsSubmitted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"], s.wanted["2"] = 50, 50
	h := s.harvester(harvester.Config{MaxSubmit: 4, MaxWorkers: 10})
	for want, n := range []int{4, 8, 10, 10} {
		s.look(h)
		s.expect(fmt.Sprint("look ", want), len(s.jobs), n)
	}
}

func TestLessDemandCancelsWhatIsQueuedAndLetsTheRestFinish(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 5
	h := s.harvester(harvester.Config{})
	s.look(h)
	s.set(2, harvester.Queued, running)
	s.wanted["1"] = 0
	s.look(h)
	s.look(h)
	s.expect("running", s.count(harvester.Running), 2)
	s.expect("queued", s.count(harvester.Queued), 0)
}

func TestWhoeverCannotBeAskedChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 2
	h := s.harvester(harvester.Config{})
	s.look(h)
	s.set(2, harvester.Queued, running)
	s.look(h)
	s.down = errors.New("slurmctld does not answer")
	s.wanted["1"] = 9
	s.look(h)
	s.expect("jobs while the batch system is down", len(s.jobs), 2)
	s.down, s.silent = nil, errors.New("no route to host")
	s.look(h)
	s.expect("jobs while idds is down", len(s.jobs), 2)
	s.silent = nil
	s.look(h)
	s.expect("jobs", len(s.jobs), 9)
}

func TestASubmissionWhoseAnswerWasLostIsFoundByItsTag(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 3
	s.lost = true
	func() {
		defer func() { _ = recover() }() // the kill -9 between submission and answer
		s.look(s.harvester(harvester.Config{}))
	}()
	s.lost = false
	h := s.harvester(harvester.Config{})
	s.look(h)
	s.look(h)
	s.expect("jobs", len(s.jobs), 3)
}

func TestPilotsThatFailAtOnceAreNotStartedOverAndOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 1
	h := s.harvester(harvester.Config{})
	now := time.Now()
	for range 20 {
		s.look(h)
		s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: 31, StartedAt: now, EndedAt: now.Add(time.Second)})
	}
	s.expect("jobs", len(s.jobs), 1)
	t.Run("but those that found no work are no failures", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.wanted["1"] = 1
		h := s.harvester(harvester.Config{})
		for range 5 {
			s.look(h)
			s.set(1, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: 55, StartedAt: now, EndedAt: now.Add(time.Second)})
		}
		s.expect("jobs", len(s.jobs), 5)
	})
}

func TestPilotsThatWereKilledAtWorkAreReplacedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 3
	h := s.harvester(harvester.Config{})
	s.look(h)
	started := time.Now().Add(-5 * time.Second)
	s.set(3, harvester.Queued, harvester.Status{State: harvester.Running, StartedAt: started})
	for i := range 3 {
		s.set(1, harvester.Running, harvester.Status{State: harvester.Ended, ExitCode: -1, StartedAt: started, EndedAt: time.Now()})
		s.look(h)
		s.expect("jobs", len(s.jobs), 3+i+1)
	}
}

func TestAPartlyRefusedSubmissionIsBookedAsItHappened(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 5
	s.limit = 2
	h := s.harvester(harvester.Config{})
	s.look(h)
	s.look(h)
	s.expect("jobs", len(s.jobs), 2)
	live, err := s.store.Live(t.Context())
	if err != nil || len(live) != 2 {
		t.Errorf("%d live, %v", len(live), err)
	}
}

func TestTheLastLookNotesTheEndsAndSubmitsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wanted["1"] = 2
	h := s.harvester(harvester.Config{})
	s.look(h)
	s.set(2, harvester.Queued, harvester.Status{State: harvester.Ended, ExitCode: 59, Reason: "interrupted"})
	if err := h.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.expect("jobs", len(s.jobs), 2)
	list, err := s.store.Latest(t.Context(), 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, w := range list {
		if w.State != harvester.Ended || w.ExitCode != 59 || w.Reason != "interrupted" {
			t.Errorf("%+v", w)
		}
	}
}
