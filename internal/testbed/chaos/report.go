package testbed

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/google/renameio/v2"

	"tfpilot/internal/exitcode"
)

// ChaosReport is chaos.json as it stands.
type ChaosReport struct {
	Seed      uint64     `json:"seed"`
	Broker    string     `json:"broker"`
	Pilots    int        `json:"pilots"`
	Slots     int        `json:"slots"`
	HeartBeat float64    `json:"heart_beat_s"`
	Rows      []ChaosRow `json:"faults"`
}

// ChaosRow is what became of one run.
type ChaosRow struct {
	Fault string `json:"fault"`
	What  string `json:"what"`
	// LeftOut says why the fault was not injected; all else is empty then.
	LeftOut string `json:"left_out,omitempty"`
	// Times is how often it was injected.
	Times int `json:"times"`
	// Slices were to be published; the accounting is idds': published = done + failed + lost.
	Slices    int `json:"slices"`
	Published int `json:"published"`
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Lost      int `json:"lost"`
	// Again is how many executions of a payload were the second or a further one of their slice.
	Again int `json:"executed_again"`
	// Copies is how many results with state done came through the broker for a slice that had one: what the broker did not
	// absorb. Absorbed is how many the ledger did, failures that were overtaken included.
	Copies      int `json:"result_copies"`
	Absorbed    int `json:"absorbed_by_ledger"`
	Unexplained int `json:"unexplained"`
	// Recover is the longest time from the end of a fault to the next result, in seconds.
	Recover  float64  `json:"recover_s"`
	Problems []string `json:"problems,omitempty"`
}

// OK is whether every promise was kept.
func (r ChaosRow) OK() bool {
	return r.LeftOut != "" || (len(r.Problems) == 0 && r.Published == r.Slices && r.Done == r.Slices && r.Lost == 0 && r.Unexplained == 0)
}

func (r ChaosRow) summary() string {
	verdict := "ok"
	if !r.OK() {
		verdict = "NOT OK: " + strings.Join(append([]string{}, r.Problems...), "; ")
	}
	return fmt.Sprintf("%d times: %d of %d done, %d failed, %d lost, %d done again, recovered in %.1f s: %s",
		r.Times, r.Done, r.Slices, r.Failed, r.Lost, r.Again, r.Recover, verdict)
}

// Verdict is nil only if every promise was kept under every fault.
func (r ChaosReport) Verdict() error {
	var bad []string
	for _, row := range r.Rows {
		if !row.OK() {
			bad = append(bad, row.Fault)
		}
	}
	if len(bad) > 0 {
		return exitcode.New(exitcode.CheckFailed, "broken promises under %s", strings.Join(bad, ", "))
	}
	return nil
}

// Write puts chaos.json into dir.
func (r ChaosReport) Write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding report: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(dir, "chaos.json"), append(b, '\n'), 0o644); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the report: %w", err)
	}
	return nil
}

// Print shows the report to a person.
func (r ChaosReport) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FAULT\tTIMES\tSLICES\tDONE\tFAILED\tLOST\tRUN AGAIN\tCOPIES\tABSORBED\tUNEXPLAINED\tRECOVER s\tVERDICT")
	for _, row := range r.Rows {
		if row.LeftOut != "" {
			fmt.Fprintf(tw, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\tleft out: %s\n", row.Fault, row.LeftOut)
			continue
		}
		verdict := "ok"
		if !row.OK() {
			verdict = strings.Join(append([]string{"NOT OK"}, row.Problems...), "; ")
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\n", row.Fault, row.Times, row.Slices, row.Done, row.Failed, row.Lost,
			row.Again, row.Copies, row.Absorbed, row.Unexplained, row.Recover, verdict)
	}
	return tw.Flush()
}
