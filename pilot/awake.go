package pilot

import (
	"log/slog"
	"time"
)

// asleep is a pause between two looks that no load explains: the process stood still (SIGSTOP, or a batch system that suspends).
// What waits for something looks every lookForEnd.
const asleep = 5 * time.Second

// awake is called by everything that looks at the time, before it judges by it. The first to look after a pause moves what is
// measured in idle time: nothing could come meanwhile.
func (p *Pilot) awake(now time.Time) {
	p.mu.Lock()
	before := p.looked
	if now.Before(before) {
		p.mu.Unlock()
		return // another was quicker
	}
	p.looked = now
	gap := now.Sub(before)
	if before.IsZero() || gap < asleep {
		gap = 0
	}
	// A node that sleeps stops the clock that we count by, too, but not the one on the wall. That one may also have been set.
	slept := !before.IsZero() && now.Round(0).Sub(before.Round(0))-now.Sub(before) > asleep
	stood := gap > 0 || slept
	if stood {
		p.last, p.resumed = now, now
		p.totals.SuspendedSeconds += gap.Seconds()
		p.deadline.Suspended(gap) // before anybody else goes on to judge by the end of the slot
	}
	p.mu.Unlock()
	if stood {
		p.log.Warn("the pilot stood still; that is not counted as time of anything", slog.Duration("for", gap), slog.Bool("clock_moved", slept))
	}
}
