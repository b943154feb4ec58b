package broker

import (
	"math/rand/v2"
	"time"
)

const (
	// earlyTime is how long EarlyCap holds.
	earlyTime = time.Minute
	// settled is how long a connection must have lived to count as good. One that is accepted and cut at once, by a broker
	// that refuses a subscription say, must not be tried again ever so fast.
	settled = 5 * time.Second
)

// backoff says how long to wait between rounds over the brokers: a random time below a bound that doubles, so that ten
// thousand pilots that lost their broker together do not come back together.
type backoff struct {
	first, early, late time.Duration

	bound time.Duration
	down  time.Time // since when there is no good connection
}

func newBackoff(c Config) *backoff {
	return &backoff{first: c.FirstWait, early: c.EarlyCap, late: c.LateCap, bound: c.FirstWait, down: time.Now()}
}

// next is the time to wait now.
func (b *backoff) next() time.Duration {
	limit := b.early
	if time.Since(b.down) >= earlyTime {
		limit = b.late
	}
	wait := rand.N(min(b.bound, limit) + 1)
	b.bound = min(2*b.bound, limit)
	return wait
}

// lost notes the end of a connection that had lasted since.
func (b *backoff) lost(since time.Time) {
	if time.Since(since) >= settled {
		b.bound, b.down = b.first, time.Now()
	}
}
