package payload_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/payload"
)

func TestAPayloadsTimeEndsWhenItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("over")
		start := time.Now()
		ctx, cancel := payload.WithPatience(t.Context(), 90*time.Second+time.Millisecond, cause)
		defer cancel()
		<-ctx.Done()
		if took := time.Since(start); took != 90*time.Second+time.Millisecond || !errors.Is(context.Cause(ctx), cause) {
			t.Errorf("after %s: %v", took, context.Cause(ctx))
		}
	})
}

func TestStandingStillIsNoTimeOfAPayload(t *testing.T) {
	t.Parallel()
	s := time.Second
	for _, c := range []struct {
		name  string
		limit time.Duration
		looks []time.Duration
		over  int
	}{
		{"as it should be", 3 * s, []time.Duration{s, 2 * s, 3 * s}, 2},
		{"suspended for an hour", 5 * s, []time.Duration{s, 3600 * s, 3601 * s, 3602 * s, 3603 * s, 3604 * s}, 5},
		{"a loaded machine", 5 * s, []time.Duration{1900 * time.Millisecond, 3800 * time.Millisecond, 5100 * time.Millisecond}, 2},
		{"suspended in its only step", s / 10, []time.Duration{3600 * s, 3600*s + s/20}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := payload.Patience(c.limit, c.looks...); got != c.over {
				t.Errorf("over at look %d, want %d", got, c.over)
			}
		})
	}
}
