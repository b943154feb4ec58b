package storewatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/storewatch"
)

func TestAStoreThatComesAndGoesFillsNoLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := storewatch.New(nil, slog.New(slog.NewTextHandler(&log, nil)))
		for range 100 {
			tries := 0
			if err := w.Outlast(t.Context(), func(context.Context) error {
				if tries++; tries < 3 {
					return fmt.Errorf("%w: full", ledger.ErrUnavailable)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if part := w.Health(time.Now()); strings.Contains(part.Details, "work waits") {
				t.Error(part.Details)
			}
		}
		if away, back := strings.Count(log.String(), "nothing is acknowledged"), strings.Count(log.String(), "is back"); away != 1 || back != 1 {
			t.Errorf("said %d times that it is away, %d times that it is back", away, back)
		}
		time.Sleep(time.Minute)
		tries := 0
		if err := w.Outlast(t.Context(), func(context.Context) error {
			if tries++; tries == 1 {
				return fmt.Errorf("%w: locked", ledger.ErrUnavailable)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "locked") || strings.Count(log.String(), "is back") != 2 {
			t.Errorf("the log has %s", log.String())
		}
	})
}
