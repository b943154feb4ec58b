package idds_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/ledger"
)

func TestWorkRestsAfterItWasDoneAndNotAfterItFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries, full := 0, true
		work := idds.Sparingly(func(context.Context) error {
			tries++
			time.Sleep(time.Second)
			if full {
				return ledger.ErrUnavailable
			}
			return nil
		})
		for range 2 {
			if err := work(t.Context()); err == nil {
				t.Error("what was not done is said to be")
			}
		}
		full = false
		for range 3 { // the second is within the rest of the first
			if err := work(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Second)
		}
		if tries != 4 {
			t.Errorf("%d tries", tries)
		}
	})
}
