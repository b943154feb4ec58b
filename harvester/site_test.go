package harvester_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/guard"
	"tfpilot/internal/document"
)

// site is a batch system and an idds whose answers a test sets; the real ones are in harvester/local and internal/e2e. It is
// used in fake time.
type site struct {
	t     *testing.T
	store harvester.Store
	dir   string // of the workers' folders
	guard guard.Config

	jobs    map[string]*harvester.Job // by worker
	history map[string]harvester.Status
	hidden  bool // new jobs are not listed yet
	wanted  map[string]int
	down    error // of the batch system
	noPast  error // of its second source
	silent  error // of idds
	refuse  error // of submissions
	limit   int   // jobs that a submission may have
	// forgetful: the answer to a submission has one id, whatever was submitted.
	forgetful bool
	deaf      bool // cancelling is accepted, and does nothing

	submissions []harvester.Submission
	cancels     [][]string
	listings    int
}

// inSite runs a test in fake time.
func inSite(t *testing.T, test func(s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(&site{
			t: t, store: newMemory(), dir: t.TempDir(), jobs: map[string]*harvester.Job{}, history: map[string]harvester.Status{},
			wanted: map[string]int{}, limit: 1000,
		})
	})
}

func (s *site) Name() string { return "site" }

func (s *site) Submit(_ context.Context, sub harvester.Submission) ([]string, error) {
	s.submissions = append(s.submissions, sub)
	err := errors.Join(s.down, s.refuse)
	if err != nil && !errors.Is(err, harvester.ErrUnclear) {
		return nil, err
	}
	var ids []string
	for i := range min(sub.Count, s.limit) {
		j := &harvester.Job{ID: fmt.Sprintf("%s[%d]", sub.Tag, i), Tag: sub.Tag, Index: i, Status: harvester.Status{State: harvester.Queued}}
		s.jobs[fmt.Sprintf("%s.%d", sub.Tag, i)] = j
		ids = append(ids, j.ID)
	}
	if err != nil {
		return nil, err
	}
	if s.forgetful {
		return ids[:1], nil
	}
	if sub.Count > s.limit {
		return ids, errors.New("over the limit")
	}
	return ids, nil
}

func (s *site) Queue(context.Context) ([]harvester.Job, error) {
	s.listings++
	var jobs []harvester.Job
	for _, j := range s.jobs {
		if !s.hidden {
			jobs = append(jobs, *j)
		}
	}
	return jobs, s.down
}

func (s *site) History(_ context.Context, ids []string) (map[string]harvester.Status, error) {
	found := map[string]harvester.Status{}
	for _, id := range ids {
		if st, ok := s.history[id]; ok {
			found[id] = st
		}
	}
	return found, s.noPast
}

func (s *site) Check(context.Context) []harvester.Finding { return nil }

func (s *site) Cancel(_ context.Context, ids []string) error {
	s.cancels = append(s.cancels, ids)
	for _, j := range s.jobs {
		if slices.Contains(ids, j.ID) && !s.deaf {
			j.Status = harvester.Status{State: harvester.Ended, ExitCode: -1, Starts: j.Starts}
		}
	}
	return s.down
}

func (s *site) Demand(context.Context) (document.Demand, error) {
	var d document.Demand
	for run, n := range s.wanted {
		d.Demands = append(d.Demands, document.RunDemand{RunID: run, Namespace: "test", Wanted: n})
	}
	return d, s.silent
}

// harvester makes one on the site's store, as after a start.
func (s *site) harvester(cfg harvester.Config) *harvester.Harvester {
	cfg.Jobs = s.dir
	return harvester.New(harvester.Parts{Demand: s, Batch: guard.New(s, s.guard), Store: s.store, Pilot: func(run, namespace string) harvester.Submission {
		return harvester.Submission{Path: "pilot", Args: []string{"--run", run, "--namespace", namespace}}
	}}, cfg)
}

// look reconciles n times, a second apart.
func (s *site) look(h *harvester.Harvester, n int) {
	s.t.Helper()
	for range n {
		if err := h.Reconcile(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		pass(time.Second)
	}
}

// count is how many jobs are in a state.
func (s *site) count(state harvester.State) (n int) {
	for _, j := range s.jobs {
		if j.State == state {
			n++
		}
	}
	return n
}

// set moves jobs from one state to another, and returns their workers.
func (s *site) set(n int, from harvester.State, to harvester.Status) (workers []string) {
	for id, j := range s.jobs {
		if len(workers) < n && j.State == from {
			j.Status = to
			workers = append(workers, id)
		}
	}
	return workers
}

// says leaves last words in a worker's folder.
func (s *site) says(worker, line string) {
	s.t.Helper()
	dir := filepath.Join(s.dir, worker)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, harvester.StdoutFile), []byte(line), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) live() []harvester.Worker {
	s.t.Helper()
	list, err := s.store.Live(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// ended are the workers that have ended, by state.
func (s *site) ended() []harvester.Worker {
	s.t.Helper()
	list, err := s.store.Latest(s.t.Context(), 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(w harvester.Worker) bool { return w.State.Live() })
}

func (s *site) report() (r harvester.Report) {
	s.t.Helper()
	if _, err := s.store.Document(s.t.Context(), harvester.ReportDocument, &r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *site) expect(what string, got, want int) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

var running = harvester.Status{State: harvester.Running, Starts: 1}
