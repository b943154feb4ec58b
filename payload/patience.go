package payload

import (
	"context"
	"time"
)

// patienceStep is how often it is looked how much of a payload's time is over.
const patienceStep = time.Second

// patience is what is left of a payload's time. A batch system may suspend us together with the payload: while everything stands
// still, no time passes for the payload, although it does for every clock. A step that is later than a loaded machine explains thus
// counts by half: nobody knows how much of it there was.
type patience struct {
	left time.Duration
	seen time.Time
}

// step is the time to the next look.
func (p *patience) step() time.Duration { return min(p.left, patienceStep) }

// over counts the time since the last look, and says whether nothing is left.
func (p *patience) over(now time.Time) bool {
	spent := now.Sub(p.seen)
	if spent > p.step()+patienceStep {
		spent = p.step() / 2
	}
	p.left -= spent
	p.seen = now
	return p.left <= 0
}

// withPatience ends its context when the payload has had so much time to work.
func withPatience(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := patience{d, time.Now()}
	go func() {
		t := time.NewTimer(p.step())
		defer t.Stop()
		for {
			select {
			case <-t.C:
			case <-ctx.Done():
				return
			}
			if p.over(time.Now()) {
				cancel(cause)
				return
			}
			t.Reset(p.step())
		}
	}()
	return ctx, func() { cancel(nil) }
}
