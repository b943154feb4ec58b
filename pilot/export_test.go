package pilot

import "time"

// IdleAt is the reason to leave for want of slices at a time of the test's own.
func (p *Pilot) IdleAt(now time.Time) error { return p.idle(now) }
