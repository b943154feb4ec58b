package document_test

import (
	"math"
	"testing"
	"time"

	"tfpilot/internal/document"
)

func TestAPilotIsMissedAfterThreeOfItsHeartbeats(t *testing.T) {
	t.Parallel()
	for beat, want := range map[float64]time.Duration{
		0: 15 * time.Second, -1: 15 * time.Second, math.NaN(): 15 * time.Second, 0.5: 1500 * time.Millisecond, 5: 15 * time.Second,
		1e300: 3 * time.Hour, math.Inf(1): 3 * time.Hour,
	} {
		w := document.WorkerReport{HeartbeatSeconds: beat}
		if got := w.SilentAfter(15 * time.Second); got != want {
			t.Errorf("%v s: %v, want %v", beat, got, want)
		}
	}
}

func TestASlotIsBusyWhileItsPayloadRuns(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)
	w := document.WorkerReport{
		Slots: 2, StartedAt: at.Add(-100 * time.Second), At: at, Totals: document.WorkerTotals{WallSeconds: 70, SuspendedSeconds: 10},
		InHand: []document.SliceInHand{{Identity: "a", RunningSince: at.Add(-20 * time.Second)}, {Identity: "b"}, {Identity: "c"}},
	}
	if got := w.Busy(); got != 1 {
		t.Errorf("%d are busy", got)
	}
	if used, had := w.SlotTime(); used != 90 || had != 180 {
		t.Errorf("%v of %v s", used, had)
	}
	w.Slots = -1
	if used, had := w.SlotTime(); w.Busy() != 0 || used != 90 || had != 0 {
		t.Errorf("%d are busy, %v of %v s", w.Busy(), used, had)
	}
}
