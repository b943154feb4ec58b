package scaler

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/demand"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

const (
	// siteFor is for how long a site is one after it has asked.
	siteFor = 10 * time.Minute
	// silence is that of a worker that does not say how often it reports.
	silence = 15 * time.Second
	// maxSites bounds how many there are: their names are anybody's who has a token of a harvester.
	maxSites = 200
)

// Scaler says how many workers the runs of a namespace want. Make it with [New].
type Scaler struct {
	policy    demand.Policy
	fixed     bool // a workflow task says how many
	namespace string

	mu      sync.Mutex
	runs    map[string]*course
	startup demand.Times
	slices  demand.Times    // of all runs, for one that has none yet
	started map[string]bool // pilots whose start was measured
	sites   map[string]site
	leaving map[string]bool
	stays   map[string]bool
}

type site struct {
	most  int
	asked time.Time
}

// New makes a scaler of a namespace. demandFrom is that of the duties.
func New(policy demand.Policy, namespace, demandFrom string) *Scaler {
	return &Scaler{
		policy: policy, namespace: namespace, fixed: demandFrom == ledger.WorkflowTask, runs: map[string]*course{}, started: map[string]bool{},
		startup: demand.Times{HalfLife: demand.StartupHalfLife}, slices: demand.Times{HalfLife: demand.StartupHalfLife},
		sites: map[string]site{}, leaving: map[string]bool{}, stays: map[string]bool{},
	}
}

// Ask notes that the harvester of a site asks, and how many workers that lets us have, any number when 0.
func (s *Scaler) Ask(name string, most int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sites, func(_ string, at site) bool { return now.Sub(at.asked) > siteFor })
	if _, known := s.sites[name]; known || len(s.sites) < maxSites {
		s.sites[name] = site{max(0, most), now}
	}
}

// Leaves reports whether a pilot is one too many.
func (s *Scaler) Leaves(pilot string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving[pilot]
}

// Stays reports whether a pilot is kept when its run is over.
func (s *Scaler) Stays(pilot string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stays[pilot]
}

// Decide says how many workers each run wants. Workers are those that have reported lately, with whether they are alive.
func (s *Scaler) Decide(runs []ledger.Run, workers []document.Worker, now time.Time) []document.RunDemand {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sites, func(_ string, at site) bool { return now.Sub(at.asked) > siteFor })
	snapshot := demand.Snapshot{Now: now}
	for _, name := range slices.Sorted(maps.Keys(s.sites)) {
		snapshot.Sites = append(snapshot.Sites, demand.Site{Name: name, Max: s.sites[name].most, Cost: s.policy.Cost(name)})
	}
	courses := make(map[string]*course, len(s.runs))
	crews := s.crews(workers)
	for i := range runs {
		r := &runs[i]
		id := r.RunID.String()
		if r.State == document.RunClosed {
			snapshot.Runs = append(snapshot.Runs, demand.Run{Namespace: r.Namespace, ID: id, State: r.State})
			continue
		}
		c := s.runs[id]
		if c == nil {
			c = &course{processing: demand.Times{HalfLife: demand.ProcessingHalfLife}}
		}
		courses[id] = c
		c.look(r, &s.slices, now)
		snapshot.Runs = append(snapshot.Runs, s.run(r, c, crews[id], now))
	}
	s.runs = courses
	s.measure(workers, now)
	for i := range snapshot.Runs {
		snapshot.Runs[i].Startup = s.startup.Took()
	}
	reserve, kept := s.reserve(workers)
	if s.policy.Warm > 0 {
		snapshot.Runs = append(snapshot.Runs, reserve)
	}
	out := make([]document.RunDemand, len(snapshot.Runs))
	decisions := s.policy.Decide(snapshot)
	leaving, stays := map[string]bool{}, map[string]bool{}
	if s.policy.Warm > 0 { // first of all: who stays is none of those whom a run lets go
		s.keep(decisions[len(decisions)-1], kept, now, stays, leaving)
	}
	s.stays = stays
	for i, d := range decisions {
		r := &snapshot.Runs[i]
		out[i] = s.document(r, d)
		if c := courses[r.ID]; c != nil {
			c.before = d.Memory
			c.trace.note(point(&out[i], busy(crews[r.ID], r.ID), now))
			s.release(r, d, settled(crews[r.ID], now), leaving)
		}
	}
	s.leaving = leaving
	if s.policy.Warm > 0 {
		s.sayReserve(&out[len(out)-1])
		reduce(out, workers)
	}
	return out
}

// measure takes in what new workers took to start.
func (s *Scaler) measure(workers []document.Worker, now time.Time) {
	seen := make(map[string]bool, len(workers))
	var none backlog // of a worker without a run nobody waits
	for i := range workers {
		w := &workers[i]
		waited := &none
		if c := s.runs[w.RunID]; c != nil {
			waited = &c.backlog
		}
		took, known := waited.startedIn(w, now)
		if known && !s.started[w.PilotID] {
			s.startup.Add(demand.Bin(took.Seconds()), 1, now)
		}
		if known || s.started[w.PilotID] {
			seen[w.PilotID] = true
		}
	}
	s.started = seen
}

// settled are the workers but for those that have just started: each may be in the place of one that died, which counts as alive until
// it has been silent for long, and is not one too many.
func settled(crew []*document.Worker, now time.Time) []*document.Worker {
	return slices.DeleteFunc(slices.Clone(crew), func(w *document.Worker) bool { return young(w, now) })
}

func young(w *document.Worker, now time.Time) bool {
	return now.Sub(w.StartedAt) < w.SilentAfter(silence)
}

// run is a run of the ledger as the policy sees it.
func (s *Scaler) run(r *ledger.Run, c *course, crew []*document.Worker, now time.Time) demand.Run {
	out := demand.Run{
		Namespace: r.Namespace, ID: r.RunID.String(), State: r.State, Request: demand.Request{Workers: r.Workers, Fixed: s.fixed, Closed: r.DemandClosed},
		Arrived: c.meter.Arrived(now), Announced: -1, Processing: c.processing.Took(), Before: c.before,
		Paused: r.Detector != nil && r.Detector.Substate == standby,
	}
	if out.Since = r.OpenedAt; r.AnnouncedAt.After(out.Since) {
		out.Since = r.AnnouncedAt
	}
	if r.Published > 0 && !out.Arrived.Any { // before a restart
		out.Arrived.Any, out.Arrived.LastAt = true, r.LastSliceAt
	}
	if r.TotalSlices != nil {
		out.Announced = max(0, *r.TotalSlices-r.Published)
	}
	if g := r.Guess; g != nil {
		out.Request.ProcessingTime, out.Request.RampUp, out.Request.RampDown = seconds(g.Slice), seconds(g.RampUp), seconds(g.RampDown)
	}
	if out.Processing.N == 0 { // what those of other runs took is as good a guess as the run's own
		out.Processing = s.slices.Took()
		out.Processing.N = 0
	}
	inHand := 0
	for _, w := range crew {
		for _, in := range w.InHand {
			if w.Alive && in.RunID == out.ID {
				inHand++
			}
		}
	}
	out.Running = min(inHand, r.Outstanding())
	out.Waiting = max(0, r.Outstanding()-out.Running)
	out.Workers = s.at(crew)
	c.backlog.note(out.Waiting > 0, now)
	return out
}

// at are workers by their sites.
func (s *Scaler) at(crew []*document.Worker) (out []demand.Workers) {
	at := map[string]*demand.Workers{}
	for _, w := range crew {
		site := at[w.Site]
		if site == nil {
			site = &demand.Workers{Site: w.Site}
			at[w.Site] = site
		}
		switch {
		case w.Phase == document.WorkerEnded:
		case !w.Alive:
			site.Silent++
		case w.Phase == document.WorkerDraining, s.leaving[w.PilotID]:
			site.Draining++
		case w.Phase == document.WorkerStarting, w.Hold != "":
			site.Starting++
		default:
			site.Ready++
			site.Slots += max(1, w.Slots)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		out = append(out, *at[name])
	}
	return out
}

// standby is the detector's substate while a run is paused.
const standby = "standby"

// crews are the workers by their runs.
func (s *Scaler) crews(workers []document.Worker) map[string][]*document.Worker {
	out := map[string][]*document.Worker{}
	for i := range workers {
		out[workers[i].RunID] = append(out[workers[i].RunID], &workers[i])
	}
	return out
}

// release chooses who leaves of those that are too many at a site that follows the demand: first who has not started, then who is
// idle, then who is slow. Who was chosen stays so: it may have heard of it.
func (s *Scaler) release(r *demand.Run, d demand.Decision, crew []*document.Worker, leaving map[string]bool) {
	for _, w := range crew {
		if s.leaving[w.PilotID] && w.Phase != document.WorkerEnded {
			leaving[w.PilotID] = true
		}
	}
	if r.Request.Fixed || d.Wanted == 0 { // at its end a run's workers are told that it is over
		return
	}
	for _, share := range d.Sites {
		var stay []*document.Worker
		wanted := share.Wanted
		for _, w := range crew {
			switch {
			case w.Site != share.Site || w.WorkerID == "" || !w.Alive || w.Phase == document.WorkerDraining || s.leaving[w.PilotID]:
			case s.stays[w.PilotID]: // another would be started in its place
				wanted--
			default:
				stay = append(stay, w)
			}
		}
		slices.SortStableFunc(stay, func(a, b *document.Worker) int {
			return cmp.Or(cmp.Compare(stage(a), stage(b)), cmp.Compare(perSlice(b), perSlice(a)), b.StartedAt.Compare(a.StartedAt), cmp.Compare(a.PilotID, b.PilotID))
		})
		for i := range min(len(stay), max(0, len(stay)-wanted)) {
			leaving[stay[i].PilotID] = true
		}
	}
}

// stage is how little a worker that leaves is missed: the less, the smaller.
func stage(w *document.Worker) int {
	switch {
	case w.Phase == document.WorkerStarting:
		return 0
	case len(w.InHand) == 0:
		return 1
	default:
		return 2
	}
}

// perSlice is what a worker took for each slice, in seconds.
func perSlice(w *document.Worker) float64 {
	return w.Totals.WallSeconds / float64(max(1, w.Totals.Done+w.Totals.Failed))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
