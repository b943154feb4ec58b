package harvester

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/words"
)

// runKey is a run of a namespace.
type runKey struct{ namespace, run string }

func (w Worker) key() runKey { return runKey{w.Namespace, w.RunID} }

// snapshot is all that a decision rests on.
type snapshot struct {
	cfg  Config
	now  time.Time
	live []Worker // the newest first
	// demands are of our namespace; asked is false when nobody could say.
	demands []document.RunDemand
	asked   bool
	drain   bool
	pause   Pause
}

// plan is what one look does: at most one submission, at most one cancelling.
type plan struct {
	count  int
	submit document.RunDemand
	cancel []Worker // with their Cancel set
	// why says what keeps wanted pilots from being submitted.
	why []string
}

// decide is what to do about a snapshot. Nothing here knows a batch system or a clock.
func decide(s snapshot) plan {
	var p plan
	p.cancelHeld(s)
	if !s.asked && !s.drain {
		p.why = append(p.why, "nobody could say how many pilots are wanted")
		return p
	}
	wanted := map[runKey]int{}
	if !s.drain {
		for _, d := range s.demands {
			wanted[runKey{d.Namespace, d.RunID}] = d.Wanted
		}
	}
	alive, queued := p.cancelSurplus(s, wanted)
	if s.drain {
		p.why = append(p.why, "it drains: no pilot is submitted until `harvester drain --undo`")
		return p
	}
	p.grow(s, alive, queued)
	return p
}

// cancelHeld gives up what the batch system has held for too long.
func (p *plan) cancelHeld(s snapshot) {
	for _, w := range s.live {
		if w.State == Held && !w.cancelled() && s.now.Sub(w.ChangedAt) >= s.cfg.HeldLimit {
			p.end(w, s.now, fmt.Sprintf("held for more than %s: %s", s.cfg.HeldLimit, w.Reason), true)
		}
	}
}

func (p *plan) end(w Worker, now time.Time, why string, failed bool) {
	w.Cancel = &Cancellation{At: now, Start: w.Starts, Why: why, Failed: failed}
	p.cancel = append(p.cancel, w)
}

// cancelSurplus cancels what waits beyond the demand, the newest first, because the others have waited for longer. What runs is let
// finish: it knows best when its run is over. It returns how many are left for each run, and how many of all wait.
func (p *plan) cancelSurplus(s snapshot, wanted map[runKey]int) (alive map[runKey]int, queued int) {
	alive = map[runKey]int{}
	ending := map[string]bool{} // what was held for too long
	for _, w := range p.cancel {
		ending[w.ID] = true
	}
	serves := func(w Worker) bool { return w.State != Ending && !w.cancelled() && !ending[w.ID] }
	for _, w := range s.live {
		if serves(w) {
			alive[w.key()]++
		}
		if w.State == Intended || w.State == Queued || w.State == Held {
			queued++
		}
	}
	why := "fewer pilots are wanted"
	if s.drain {
		why = "the queue drains"
	}
	for _, state := range []State{Held, Queued} {
		for _, w := range s.live {
			if w.State == state && serves(w) && alive[w.key()] > wanted[w.key()] {
				alive[w.key()]--
				p.end(w, s.now, why, false)
			}
		}
	}
	return alive, queued
}

// grow submits for the run that has the smallest part of what it wants: one command in a look, whoever else waits.
func (p *plan) grow(s snapshot, alive map[runKey]int, queued int) {
	lacks := slices.DeleteFunc(slices.Clone(s.demands), func(d document.RunDemand) bool { return alive[runKey{d.Namespace, d.RunID}] >= d.Wanted })
	if len(lacks) == 0 {
		return
	}
	part := func(d document.RunDemand) float64 {
		return float64(alive[runKey{d.Namespace, d.RunID}]) / float64(d.Wanted)
	}
	d := slices.MinFunc(lacks, func(a, b document.RunDemand) int { return cmp.Compare(part(a), part(b)) })
	missing := d.Wanted - alive[runKey{d.Namespace, d.RunID}]
	if s.now.Before(s.pause.Until) {
		p.why = append(p.why, fmt.Sprintf("after failures there is a pause; %s in a row failed, the last is %s: %s",
			words.Counted(s.pause.Failures, "pilot or submission", "pilots or submissions"), s.pause.Worker, s.pause.Why))
		return
	}
	p.count, p.submit = missing, d
	for _, limit := range []struct {
		room int
		why  string
	}{
		{s.cfg.MaxWorkers - len(s.live), fmt.Sprintf("max_workers is %d, and %d are alive", s.cfg.MaxWorkers, len(s.live))},
		{s.cfg.MaxQueued - queued, fmt.Sprintf("max_queued is %d, and %d wait in the batch system", s.cfg.MaxQueued, queued)},
		{s.cfg.MaxSubmit, fmt.Sprintf("max_submit is %d in each look", s.cfg.MaxSubmit)},
	} {
		if limit.room < p.count {
			p.count = max(0, limit.room)
			p.why = append(p.why, fmt.Sprintf("run %s lacks %s: %s", cmp.Or(d.RunID, "(any)"), words.Counted(missing, "pilot", "pilots"), limit.why))
		}
	}
	if len(lacks) > 1 {
		var others []string
		for _, o := range lacks {
			if o.RunID != d.RunID || o.Namespace != d.Namespace {
				others = append(others, o.RunID)
			}
		}
		p.why = append(p.why, "one run is served in each look: "+strings.Join(others, ", ")+" come next")
	}
}
