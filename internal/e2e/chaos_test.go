package e2e_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/testbed/chaos"
)

// A short one: all faults take minutes and are for people, and for brokers to be qualified.
func TestChaosAccountsForEverySliceUnderItsFaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "chaos")
	report, err := chaos.Run(t.Context(), chaos.Config{
		Out: dir, Slices: 100, HeartBeat: 5 * time.Second, RecoverLimit: time.Minute, // how fast it is, is not the question here
		Faults: []string{"kill-idds", "reset-links", "junk"},
	}, bin(t), io.Discard)
	if err != nil {
		t.Errorf("got %v", err)
	}
	if len(report.Rows) != 3 {
		t.Fatalf("%+v", report.Rows)
	}
	for _, row := range report.Rows {
		if row.Times == 0 || row.Published != 100 || row.Done != 100 || row.Lost != 0 || row.Unexplained != 0 {
			t.Errorf("%+v", row)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "chaos.json")); err != nil {
		t.Error(err)
	}
}
