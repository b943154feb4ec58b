package live

import (
	"context"
	"maps"
	"slices"
	"time"

	"tfpilot/internal/commits"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// space is a namespace: what we remember of it, and its board. All but turn is guarded by the feed's lock.
type space struct {
	name    string
	runs    map[string]*run
	workers workers
	// mostWorkers is as many as are remembered before some are forgotten.
	mostWorkers int
	// loaded says that the store was asked for what there was before we heard of anything.
	loaded bool
	// changed says that something has happened since the board was made.
	changed bool

	// strays is what came lately of runs that nobody has announced.
	strays document.BoardUnannounced

	demand   map[string]*document.RunDemand
	demandAt time.Time

	// turn is held by whoever makes the board.
	turn chan struct{}
	// made is the board, which belongs to whoever has the turn; event is the same as it is sent; news is closed when there is another one.
	made   document.Board
	madeAt time.Time
	// sparedUntil is until when the store is asked nothing for a board.
	sparedUntil time.Time
	event       document.Event
	told        []byte // what the event says, but for its time
	pictures    map[string]picture
	news        chan struct{}

	watchers int
	lookedAt time.Time
}

// picture is a run's histograms as they are sent.
type picture struct {
	at     int64     // picturesAt of the run then
	madeAt time.Time // no sooner than a second after it another one is made
	number int       // grows with each that differs
	event  document.Event
}

func newSpace(name string) *space {
	return &space{
		name: name, runs: map[string]*run{}, workers: workers{}, mostWorkers: manyWorkers, demand: map[string]*document.RunDemand{}, turn: make(chan struct{}, 1),
		pictures: map[string]picture{}, news: make(chan struct{}),
	}
}

// hear notes what a transaction has changed. It says whether there is a run of which it does not know all.
func (s *space) hear(c *commits.Commit, now time.Time) (unknown bool) {
	fresh := map[string]int{}
	for i := range c.Slices {
		if k := c.Slices[i].Key; k.Namespace == s.name && c.Slices[i].Was == "" {
			fresh[k.Run]++
		}
	}
	for i := range c.Runs {
		if c.Runs[i].Namespace != s.name {
			continue
		}
		s.changed = true
		id := ledger.Text(c.Runs[i].RunID.String())
		r := s.runs[id]
		switch {
		case c.Runs[i].State == document.RunUnannounced: // there may be any number of them
			s.stray(&c.Runs[i], now)
		case r == nil:
			s.runs[id] = newRun(c.Runs[i].Run, now, c.Runs[i].Published == fresh[id])
			s.runs[id].number = c.Number
			unknown = unknown || !s.runs[id].whole
		case r.number < c.Number:
			r.Run, r.number = c.Runs[i].Run, c.Number
		}
	}
	for i := range c.Slices {
		if k := c.Slices[i].Key; k.Namespace == s.name && s.runs[k.Run] != nil {
			s.runs[k.Run].note(&c.Slices[i], now)
		}
	}
	for _, k := range c.Pictured {
		if r := s.runs[ledger.Text(k.Run)]; k.Namespace == s.name && r != nil {
			r.picturesAt = max(r.picturesAt+1, now.UnixMicro())
		}
	}
	for _, k := range c.Detected {
		if r := s.runs[ledger.Text(k.Run)]; k.Namespace == s.name && r != nil {
			s.changed, r.detected = true, true
		}
	}
	for i := range c.Workers {
		if c.Workers[i].Namespace == s.name {
			s.changed = true
			s.workers.note(c.Workers[i].WorkerReport, c.Workers[i].At)
		}
	}
	if len(s.runs) > 2*remembered || len(s.workers) > s.mostWorkers { // while nobody looks
		s.prune(now)
	}
	return unknown
}

const (
	// manyWorkers is how many are remembered before it is looked which of them are gone; from then on, as soon as they are twice as many.
	manyWorkers = 1000
	// remembered is how many runs are, at least: those of the board and, for when one of these is over, the next.
	remembered = 2 * shown
)

// strayFor is for how long it is told that results came for a run that nobody has announced.
const strayFor = 10 * time.Minute

// stray notes what came of a run that nobody has announced.
func (s *space) stray(c *commits.RunChange, now time.Time) {
	if c.Dropped || c.HeardAt.Equal(c.Was.HeardAt) { // nothing came
		return
	}
	if now.Sub(s.strays.LastAt) > strayFor {
		s.strays = document.BoardUnannounced{Since: now}
	}
	if c.Was.State == "" {
		s.strays.Runs++
	}
	s.strays.RunID, s.strays.LastAt = c.RunID.String(), now
}

// addRuns adds runs that the store had before we heard of anything.
func (s *space) addRuns(runs []ledger.Run, now time.Time) {
	for i := range runs {
		if id := ledger.Text(runs[i].RunID.String()); s.runs[id] == nil {
			s.runs[id] = newRun(runs[i], now, runs[i].Published == 0)
		}
	}
	s.prune(now)
}

// addWorkers does the same with pilots; now all is there.
func (s *space) addWorkers(workers []document.Worker, now time.Time) {
	for i := range workers {
		s.workers.note(workers[i].WorkerReport, workers[i].LastSeen)
	}
	s.prune(now)
	s.loaded, s.changed = true, true
}

// prune forgets what no board will have: of runs that are over those that are not among the latest, and of all, however many are said
// to be open, those for which there is no room. The store tells of a run that comes back.
func (s *space) prune(now time.Time) {
	s.workers.forget(now)
	s.mostWorkers = max(manyWorkers, 2*len(s.workers))
	if len(s.runs) <= shown {
		return
	}
	for i, r := range latest(slices.Collect(maps.Values(s.runs))) {
		if i >= remembered || i >= shown && r.State == document.RunClosed {
			id := ledger.Text(r.RunID.String())
			delete(s.runs, id)
			delete(s.pictures, id)
		}
	}
}

// onBoard are the runs of the board.
func (s *space) onBoard() []*run {
	all := latest(slices.Collect(maps.Values(s.runs)))
	return all[:min(shown, len(all))]
}

// take is the board's turn.
func (s *space) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *space) release() { <-s.turn }

// tell lets everybody know that there is news.
func (s *space) tell() {
	close(s.news)
	s.news = make(chan struct{})
}
