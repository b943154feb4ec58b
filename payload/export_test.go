package payload

import (
	"context"
	"time"
)

// WithPatience is the time limit of a payload.
func WithPatience(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	return withPatience(ctx, d, cause)
}

// Patience counts it, at times of the test's own: the result says at which of them nothing was left, -1 for none.
func Patience(d time.Duration, looks ...time.Duration) int {
	start := time.Unix(0, 0)
	p := patience{d, start}
	for i, after := range looks {
		if p.over(start.Add(after)) {
			return i
		}
	}
	return -1
}
