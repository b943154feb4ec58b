package chaos

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

// Report is chaos.json as it stands.
type Report struct {
	// Namespace is that of everything that was published.
	Namespace string  `json:"namespace"`
	Seed      uint64  `json:"seed"`
	Broker    string  `json:"broker"`
	Pilots    int     `json:"pilots"`
	Slots     int     `json:"slots"`
	HeartBeat float64 `json:"heart_beat_s"`
	// RecoverLimit is the longest time from the end of a fault to the next result that is no problem.
	RecoverLimit float64 `json:"recover_limit_s"`
	// BrokerAbsorbs is whether the broker drops a second message with one _AMQ_DUPL_ID.
	BrokerAbsorbs bool  `json:"broker_absorbs"`
	Rows          []Row `json:"faults"`
	// Problems are those of the end, when all programs had left: messages or processes that remained.
	Problems []string `json:"problems,omitempty"`

	over bool // all faults were injected
}

// Row is what became of one run.
type Row struct {
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
	// Witnessed is how many slices had a result with state done in a fan-out queue, Copies how many more such results came: what
	// the broker did not absorb.
	Witnessed int `json:"witnessed"`
	Copies    int `json:"result_copies"`
	// AbsorbedByBroker is how many results with state done pilots sent for a slice of which one had come already, and never
	// came. Absorbed is how many came and the ledger did not count, failures that were overtaken included.
	AbsorbedByBroker int `json:"absorbed_by_broker"`
	Absorbed         int `json:"absorbed_by_ledger"`
	Unexplained      int `json:"unexplained"`
	// Recover is the longest time from the end of a fault to the next result, in seconds.
	Recover  float64  `json:"recover_s"`
	Problems []string `json:"problems,omitempty"`
}

// OK is whether every promise was kept.
func (r Row) OK() bool {
	return r.LeftOut != "" || (len(r.Problems) == 0 && r.Published == r.Slices && r.Done == r.Slices && r.Lost == 0 && r.Unexplained == 0)
}

func (r Row) verdict() string {
	if r.OK() {
		return "ok"
	}
	return strings.Join(append([]string{"NOT OK"}, r.Problems...), "; ")
}

func (r Row) summary() string {
	return fmt.Sprintf("%d times: %d of %d done, %d failed, %d lost, %d done again, recovered in %.1f s: %s",
		r.Times, r.Done, r.Slices, r.Failed, r.Lost, r.Again, r.Recover, r.verdict())
}

// Verdict is nil only if every promise was kept under every fault.
func (r Report) Verdict() error {
	var bad []string
	for _, row := range r.Rows {
		if !row.OK() {
			bad = append(bad, row.Fault)
		}
	}
	if len(r.Problems) > 0 {
		bad = append(bad, "the end")
	}
	if len(bad) > 0 {
		return exitcode.New(exitcode.CheckFailed, "promises were broken under: %s", strings.Join(bad, ", "))
	}
	return nil
}

// Write puts chaos.json into dir.
func (r Report) Write(dir string) error {
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
func (r Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FAULT\tTIMES\tSLICES\tDONE\tFAILED\tLOST\tRUN AGAIN\tBY BROKER\tBY LEDGER\tCOPIES\tUNEXPLAINED\tRECOVER s\tVERDICT")
	for _, row := range r.Rows {
		if row.LeftOut != "" {
			fmt.Fprintf(tw, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\tleft out: %s\n", row.Fault, row.LeftOut)
			continue
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\n", row.Fault, row.Times, row.Slices, row.Done, row.Failed,
			row.Lost, row.Again, row.AbsorbedByBroker, row.Absorbed, row.Copies, row.Unexplained, row.Recover, row.verdict())
	}
	for _, p := range r.Problems {
		fmt.Fprintf(tw, "at the end\t%s\n", p)
	}
	return tw.Flush()
}
