package live

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// mostPrograms is how many are on a board: their names are anybody's.
const mostPrograms = 100

// patience is how long the store may take to answer all that is asked for a board. One that has died without a word would keep whoever
// looks for half a minute, and it is then that he has to see what is wrong.
const patience = 2 * time.Second

// make makes the board of a namespace, whose turn the caller has, unless there is one that is young enough. What the store does not
// tell now stays as it was: the board says by its health what is wrong.
func (f *Feed) make(ctx context.Context, s *space, age time.Duration) error {
	if err := f.load(ctx, s); err != nil {
		return err
	}
	if !s.madeAt.IsZero() && time.Since(s.madeAt) < age {
		return nil
	}
	now := f.cfg.Service.Now()
	b := document.Board{At: now, Namespace: s.name, Health: f.cfg.Service.Health(ctx), Components: []document.Component{}}
	asking, stop := s.asking(ctx)
	defer stop()
	f.askDemand(asking, s)

	f.mu.Lock()
	s.changed = false
	s.prune(now)
	runs := s.onBoard()
	workers := slices.Collect(maps.Values(s.workers))
	if strays := s.strays; now.Sub(strays.LastAt) <= strayFor {
		b.Unannounced = &strays
	}
	f.mu.Unlock()

	f.cfg.Service.SayAlive(workers)
	var held map[string]int
	b.Sites, held = sites(workers)
	b.Runs = make([]document.BoardRun, 0, len(runs))
	for _, r := range runs {
		f.ask(asking, r)
		doc, err := f.runOn(ctx, s, r, held, now)
		if err != nil {
			return err
		}
		b.Runs = append(b.Runs, doc)
	}
	if f.cfg.Programs != nil {
		list := f.cfg.Programs(ctx, s.name)
		b.Components = append(b.Components, list[:min(len(list), mostPrograms)]...)
	}
	s.made, s.madeAt = b, time.Now()
	return nil
}

// asking is the context of what the store is asked for a board. After one that did not answer in time, some boards are made without.
func (s *space) asking(ctx context.Context) (asking context.Context, stop func()) {
	asking, cancel := context.WithTimeout(ctx, patience)
	if time.Now().Before(s.sparedUntil) {
		cancel()
	}
	return asking, func() {
		if errors.Is(asking.Err(), context.DeadlineExceeded) {
			s.sparedUntil = time.Now().Add(5 * patience)
		}
		cancel()
	}
}

// load asks the store for what there was before we heard of anything.
func (f *Feed) load(ctx context.Context, s *space) error {
	if s.loaded {
		return nil
	}
	now := f.cfg.Service.Now()
	if err := ledger.EveryRun(ctx, f.cfg.Store, ledger.RunFilter{Namespace: s.name, States: document.KnownRuns()}, func(runs []ledger.Run) {
		f.mu.Lock()
		defer f.mu.Unlock()
		s.addRuns(runs, now)
	}); err != nil {
		return err
	}
	workers, err := f.cfg.Store.FindWorkers(ctx, ledger.WorkerFilter{Namespace: s.name, SeenSince: now.Add(-forgotten), Limit: 100 * manyWorkers})
	if err != nil {
		return err
	}
	f.mu.Lock()
	s.addWorkers(workers, now)
	f.mu.Unlock()
	poke(f.old)
	return nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// askDemand asks how many workers are wanted.
func (f *Feed) askDemand(ctx context.Context, s *space) {
	if ctx.Err() != nil || time.Since(s.demandAt) < dearly {
		return
	}
	d, err := f.cfg.Service.DemandLately(ctx)
	if err != nil {
		return
	}
	s.demandAt = time.Now()
	clear(s.demand)
	for i := range d.Demands {
		if d.Demands[i].Namespace == s.name {
			s.demand[d.Demands[i].RunID] = &d.Demands[i]
		}
	}
}

// ask asks the store what no transaction tells of a run: only when there may be something new, and rarely when it takes long.
func (f *Feed) ask(ctx context.Context, r *run) {
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	doc, failed, detected := r.Run, r.failed && time.Now().After(r.failuresAt), r.detected
	r.failed, r.detected = r.failed && !failed, false
	f.mu.Unlock()
	if doc.Latency == nil && doc.Sampled() != r.measured && time.Since(r.measuredAt) > dearly {
		if d, err := f.cfg.Service.RunDocument(ctx, doc); err == nil {
			r.latency, r.measured, r.measuredAt = d.Latency, doc.Sampled(), time.Now()
		}
	}
	if failed {
		began := time.Now()
		counts, err := f.cfg.Store.Failures(ctx, doc.Namespace, doc.RunID.String())
		if failed = err != nil; !failed {
			r.failures = ledger.FailureDocuments(counts)
		}
		r.failuresAt = time.Now().Add(max(dearly, 20*time.Since(began)))
	}
	if detected {
		d, err := f.cfg.Store.Detector(ctx, doc.Namespace, doc.RunID.String())
		if detected = err != nil; !detected {
			r.detector = d
		}
	}
	f.mu.Lock()
	r.failed, r.detected = r.failed || failed, r.detected || detected
	f.mu.Unlock()
}

// runOn is a run as the board has it.
func (f *Feed) runOn(ctx context.Context, s *space, r *run, held map[string]int, now time.Time) (document.BoardRun, error) {
	f.mu.Lock()
	doc := r.Run
	out := document.BoardRun{STFs: len(r.files), HistogramsAt: r.picturesAt, History: r.shownHistory(), Failures: r.failures}
	out.Recent, out.ResultsPerSecond = r.times.recent(now)
	f.mu.Unlock()
	if doc.Latency == nil { // as it was when it was asked for
		doc.Latency = &r.latency
	}
	doc.Detector = r.detector
	var err error
	if out.Run, err = f.cfg.Service.RunDocument(ctx, doc); err != nil {
		return out, err
	}
	out.Demand = s.demand[out.RunID]
	if out.Detector != nil && out.Detector.STFs > 0 {
		out.STFs = out.Detector.STFs
	}
	left := out.Slices.Outstanding
	out.Running = min(left, held[out.RunID])
	out.Waiting = left - out.Running
	return out, nil
}
