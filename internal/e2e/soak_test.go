package e2e_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"tfpilot/internal/testbed/soak"
)

// A short one: `make soak` takes a hundred times as many.
func TestTenThousandSlicesAreDoneOnceAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "soak")
	report, err := soak.Run(t.Context(), soak.Config{Out: dir, Slices: 10_000}, bin(t), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rows) != 10 || report.Rows[9].Slices != 10_000 {
		t.Errorf("%+v", report.Rows)
	}
	for _, row := range report.Rows {
		if row.Pilot.ResidentMB == 0 || row.Pilot.Descriptors == 0 || row.Pilot.Goroutines == 0 || row.Broker.Goroutines == 0 {
			t.Errorf("not sampled: %+v", row)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "soak.json")); err != nil {
		t.Error(err)
	}
}
