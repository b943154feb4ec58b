package resident

import "time"

const (
	// look is how often a process at work is looked at.
	look = time.Second
	// lateness is what a busy machine may add to that. When it was more, this process was stopped, and all with it.
	lateness = time.Second
)

// clock counts time in which this process ran, and another beside it could: a batch system may stop both.
type clock struct {
	timer *time.Timer
	last  time.Time
	next  time.Duration
	ran   time.Duration // altogether
	mute  time.Duration // since it was last heard
}

func newClock(first time.Duration) *clock {
	c := &clock{last: time.Now(), next: min(first, look)}
	c.timer = time.NewTimer(c.next)
	return c
}

// tick counts, and has the timer go off again when a limit might be passed. 0 is no limit.
func (c *clock) tick(limit, silence time.Duration) (late, silent bool) {
	passed := time.Since(c.last)
	c.last = c.last.Add(passed)
	if passed > c.next+lateness {
		passed = c.next
	}
	c.ran, c.mute = c.ran+passed, c.mute+passed
	c.next = look
	if limit > 0 {
		c.next = min(c.next, limit-c.ran)
	}
	if silence > 0 {
		c.next = min(c.next, silence-c.mute)
	}
	c.next = max(c.next, time.Millisecond)
	c.timer.Reset(c.next)
	return limit > 0 && c.ran >= limit, silence > 0 && c.mute >= silence
}

// heard notes that it was heard.
func (c *clock) heard() { c.mute = -time.Since(c.last) }

func (c *clock) stop() { c.timer.Stop() }
