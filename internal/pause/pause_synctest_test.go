package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/pause"
)

func TestForWaitsItsTimeOrTellsWhyNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		if err := pause.For(t.Context(), time.Hour); err != nil || time.Since(started) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(started))
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(why) })
		started = time.Now()
		if err := pause.For(ctx, time.Hour); !errors.Is(err, why) || time.Since(started) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(started))
		}
	})
}
