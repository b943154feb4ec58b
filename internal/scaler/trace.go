package scaler

import (
	"slices"
	"time"

	"tfpilot/internal/document"
)

const (
	// traceStep is from point to point at first; when there are more than traceMost, every other one goes.
	traceStep = 2 * time.Second
	traceMost = 240
)

// trace is how demand and workers of a run went.
type trace struct {
	step   time.Duration
	from   time.Time // when the step of the last point began
	points []document.DemandPoint
}

// note says how it is now. Of what is closer together than a step the last is kept, with the most slices that waited.
func (t *trace) note(p document.DemandPoint) {
	t.step = max(t.step, traceStep)
	if n := len(t.points); n > 0 && p.At.Sub(t.from) < t.step {
		p.Waiting = max(p.Waiting, t.points[n-1].Waiting)
		t.points[n-1] = p
		return
	}
	t.from = p.At
	if t.points = append(t.points, p); len(t.points) <= traceMost {
		return
	}
	kept := t.points[:0]
	for pair := range slices.Chunk(t.points, 2) {
		last := pair[len(pair)-1]
		last.Waiting = max(last.Waiting, pair[0].Waiting)
		kept = append(kept, last)
	}
	t.points, t.step = kept, 2*t.step
}

// Trace is how the demand and the workers of a run that is not over went since the service was started, or the run was heard of.
func (s *Scaler) Trace(run string) []document.DemandPoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.runs[run]; c != nil {
		return slices.Clone(c.trace.points)
	}
	return nil
}

// busy is how many of the workers what they hold of a run would fill.
func busy(crew []*document.Worker, run string) (n float64) {
	for _, w := range crew {
		if !w.Alive || w.Phase == document.WorkerEnded {
			continue
		}
		held := 0
		for i := range w.InHand {
			if w.InHand[i].RunID == run {
				held++
			}
		}
		n += min(1, float64(held)/float64(max(1, w.Slots)))
	}
	return n
}

// point is how a run is now.
func point(r *document.RunDemand, busy float64, now time.Time) document.DemandPoint {
	p := document.DemandPoint{At: now.UTC(), Wanted: r.Wanted, Busy: busy, Waiting: r.Facts.Waiting}
	for _, w := range r.Facts.Workers {
		p.Started += w.Starting + w.Ready + w.Draining
		p.Ready += w.Ready
	}
	return p
}
