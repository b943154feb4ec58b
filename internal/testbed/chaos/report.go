package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
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
	// Named is whether a fault that was left out was asked for by its name.
	Named bool `json:"named,omitempty"`
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
	Recover float64 `json:"recover_s"`
	// Gentle is whether the fault touched no pilot and no link.
	Gentle bool `json:"gentle"`
	// Problems are further ones, each in words; Verdict is all of them, those that the numbers show included.
	Problems []string `json:"problems,omitempty"`
	Verdict  string   `json:"verdict,omitempty"`
}

// Broken is what a row says that must not be; nothing when every promise was kept.
func (r Report) Broken(row Row) []string {
	if row.LeftOut != "" {
		if row.Named {
			return []string{"asked for and left out"}
		}
		return nil
	}
	out := slices.Clone(row.Problems)
	say := func(is bool, format string, args ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(row.Times == 0 && row.Fault != noFault, "the run was over before the fault: it takes more --slices")
	say(row.Published != row.Slices, "%d of %d slices were published", row.Published, row.Slices)
	say(row.Done != row.Published, "%d of %d slices are done", row.Done, row.Published)
	say(row.Lost != 0, "%d slices are lost", row.Lost)
	say(row.Unexplained != 0, "%d results came twice without a reason", row.Unexplained)
	say(row.Witnessed != row.Done, "idds has %d slices done, a consumer of results %d", row.Done, row.Witnessed)
	say(r.BrokerAbsorbs && row.Copies > 0, "%d copies of done results in the fan-out queues", row.Copies)
	say(row.Gentle && (row.Again > 0 || row.Absorbed > 0 || row.Copies > 0), "work was done twice without a fault of a pilot or a link")
	say(row.Recover > r.RecoverLimit, "no result for %.1f s after the fault", row.Recover)
	return out
}

// verdict is the last column.
func (r Report) verdict(row Row) string {
	if broken := r.Broken(row); len(broken) > 0 {
		return "NOT OK: " + strings.Join(broken, "; ")
	}
	return "ok"
}

func (r Report) summary(row Row) string {
	return fmt.Sprintf("%d times: %d of %d done, %d failed, %d lost, %d done again, recovered in %.1f s: %s",
		row.Times, row.Done, row.Slices, row.Failed, row.Lost, row.Again, row.Recover, r.verdict(row))
}

// Verdict is nil only if every promise was kept under every fault.
func (r Report) Verdict() error {
	var bad []string
	for _, row := range r.Rows {
		if len(r.Broken(row)) > 0 {
			bad = append(bad, row.Fault)
		}
	}
	if len(r.Problems) > 0 {
		bad = append(bad, "the end ("+strings.Join(r.Problems, ", ")+")")
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
			verdict := ""
			if row.Named {
				verdict = r.verdict(row) + "; "
			}
			fmt.Fprintf(tw, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t%sleft out: %s\n", row.Fault, verdict, row.LeftOut)
			continue
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\n", row.Fault, row.Times, row.Slices, row.Done, row.Failed,
			row.Lost, row.Again, row.AbsorbedByBroker, row.Absorbed, row.Copies, row.Unexplained, row.Recover, r.verdict(row))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(tw, "at the end\t%s\n", p)
	}
	return tw.Flush()
}
