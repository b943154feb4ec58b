package whereabouts

import (
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

// Attempt is one of a slice.
type Attempt struct {
	Key    ledger.Key
	Number int
}

// attemptKey names one attempt in a namespace.
type attemptKey struct {
	run, identity string
	attempt       int
}

// inHand is the attempt that a worker holds, by the names that the store has for it.
func inHand(h document.SliceInHand) attemptKey {
	return attemptKey{ledger.Text(h.RunID), ledger.Text(h.Identity), max(1, h.Attempt)}
}

// Absences remembers since when nobody reports to hold an attempt. It is not stored: after a restart every attempt is given
// its whole time again, because the workers have not reported yet.
type Absences map[attemptKey]time.Time

// Attendance is what the living workers of a namespace say.
type Attendance struct {
	held map[attemptKey]bool
	// idle is for how long some worker of a run has been idle on a proven link; the run "" stands for workers that take
	// slices of any run.
	idle map[string]time.Duration
}

// Attend gathers what the living workers report. Idle times are of each worker's own clock: clocks differ.
func Attend(workers []document.Worker) Attendance {
	out := Attendance{held: map[attemptKey]bool{}, idle: map[string]time.Duration{}}
	for _, w := range workers {
		if !w.Alive {
			continue
		}
		for _, h := range w.InHand {
			out.held[inHand(h)] = true
		}
		if w.LinkProven && !w.IdleSince.IsZero() && len(w.InHand) == 0 {
			out.idle[w.RunID] = max(out.idle[w.RunID], w.At.Sub(w.IdleSince))
		}
	}
	return out
}

// Busy reports that no worker is idle: whatever nobody holds waits for its turn.
func (a Attendance) Busy() bool { return len(a.idle) == 0 }

// Idle is for how long some worker that takes slices of a run has been idle, and whether there is one.
func (a Attendance) Idle(run string) (time.Duration, bool) {
	idle, ok := a.idle[run]
	anyRun, unbound := a.idle[""]
	return max(idle, anyRun), ok || unbound
}

// Unheld are the attempts of a page of a run's slices that nobody has held for at least wait, while some worker was idle for as long.
// What nobody holds is noted in after, since when it is so in before.
func (a Attendance) Unheld(page []ledger.Slice, before, after Absences, wait time.Duration, now time.Time) (gone []Attempt) {
	for i := range page {
		sl := &page[i]
		idle, _ := a.Idle(sl.Key.Run)
		for _, at := range sl.Attempts {
			k := attemptKey{sl.Key.Run, sl.Key.Identity, at.Attempt}
			if at.State != "sent" || a.held[k] || at.Attempt == sl.Unsent {
				continue
			}
			since, ok := before[k]
			if !ok {
				since = now
			}
			after[k] = since
			if idle >= wait && now.Sub(since) >= wait {
				gone = append(gone, Attempt{sl.Key, at.Attempt})
			}
		}
	}
	return gone
}
