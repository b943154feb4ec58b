package soak_test

import (
	"bytes"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/testbed/soak"
)

// flat is the report of a soak in which nothing grew.
func flat() soak.Report {
	r := soak.Report{Slices: 1_000_000, Slots: 8}
	for i := range 10 {
		p := soak.Process{ResidentMB: 15, Descriptors: 12, Goroutines: 26}
		r.Rows = append(r.Rows, soak.Row{Slices: 100_000 * (i + 1), Seconds: 20 * float64(i+1), Rate: 5000, Pilot: p, Broker: p, JournalKB: 900})
	}
	return r
}

func TestTheVerdictIsThatNothingHasGrownAndEverySliceIsDoneOnce(t *testing.T) {
	t.Parallel()
	if err := flat().Verdict(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*soak.Report){
		"the pilot holds 16.6 MB":           func(r *soak.Report) { r.Rows[9].Pilot.ResidentMB = 16.6 },
		"the broker holds 16.6 MB":          func(r *soak.Report) { r.Rows[9].Broker.ResidentMB = 16.6 },
		"the pilot holds 17 descriptors":    func(r *soak.Report) { r.Rows[9].Pilot.Descriptors = 17 },
		"the pilot has 167 goroutines":      func(r *soak.Report) { r.Rows[9].Pilot.Goroutines = 167 },
		"the broker has 31 goroutines":      func(r *soak.Report) { r.Rows[9].Broker.Goroutines = 31 },
		"the journal holds 30000 kB":        func(r *soak.Report) { r.Rows[9].JournalKB = 30_000 },
		"the broker's log holds 30000 kB":   func(r *soak.Report) { r.Rows[9].BrokerLogKB = 30_000 },
		"1 slices failed, 0 results came":   func(r *soak.Report) { r.Failed = 1 },
		"0 slices failed, 1 results came a": func(r *soak.Report) { r.Again = 1 },
		"too few samples":                   func(r *soak.Report) { r.Rows = r.Rows[:1] },
	} {
		bad := flat()
		spoil(&bad)
		if err := bad.Verdict(); exitcode.From(err) != exitcode.CheckFailed || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestMemoryAndFilesOfAShortSoakAreNotJudged(t *testing.T) {
	t.Parallel()
	r := flat()
	r.Slices, r.Rows[9].Broker.ResidentMB = 20_000, 30
	r.Rows[9].BrokerLogKB = 60_000
	if err := r.Verdict(); err != nil {
		t.Error(err)
	}
}

func TestTheTableHasALineForEveryTenth(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := flat().Print(&out); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 11 {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
}

func TestAWrongNumberIsAWrongFlag(t *testing.T) {
	t.Parallel()
	for _, c := range []soak.Config{{Slices: 10}, {Slots: -1}, {Stall: -1}} {
		if _, err := soak.Run(t.Context(), c, "", nil); exitcode.From(err) != exitcode.Usage {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
