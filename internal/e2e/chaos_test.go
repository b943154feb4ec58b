package e2e_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/testbed/chaos"
)

// A short one: all faults take minutes and are for people, and for brokers to be qualified.
func TestChaosAccountsForEverySliceUnderItsFaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "chaos")
	report, err := chaos.Run(t.Context(), chaos.Config{
		Out: dir, Slices: 100, Faults: []string{"kill-idds", "reset-links", "junk"},
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

func TestChaosCallsABrokenPromiseBroken(t *testing.T) {
	t.Parallel()
	good := chaos.Row{Fault: "x", Slices: 2, Published: 2, Done: 2}
	for name, spoil := range map[string]func(*chaos.Row){
		"failed":      func(r *chaos.Row) { r.Done, r.Failed = 1, 1 },
		"lost":        func(r *chaos.Row) { r.Done, r.Lost = 1, 1 },
		"unpublished": func(r *chaos.Row) { r.Published, r.Done = 1, 1 },
		"unexplained": func(r *chaos.Row) { r.Unexplained = 1 },
		"a problem":   func(r *chaos.Row) { r.Problems = []string{"results of others"} },
	} {
		bad := good
		spoil(&bad)
		if err := (chaos.Report{Rows: []chaos.Row{good, bad}}).Verdict(); exitcode.From(err) != exitcode.CheckFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (chaos.Report{Rows: []chaos.Row{good}}).Verdict(); err != nil {
		t.Error(err)
	}
}
