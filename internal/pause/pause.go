// Package pause waits for a while, and no longer than somebody wants it.
package pause

import (
	"context"
	"time"
)

// For waits for d. The error is the cause of the context's end, when that comes first.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
