package harvestercmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/harvester/lockfile"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/program"
)

// statusDocument is `status` for programs.
type statusDocument struct {
	Name   string `json:"name"`
	System string `json:"system"`
	// Harvester is who works on the state folder, absent when nobody does.
	Harvester *lockfile.Owner `json:"harvester,omitempty"`
	// Report is how everything stood at its last look.
	Report harvester.Report `json:"report"`
	Runs   []runDocument    `json:"runs"`
	// Waiting is why the batch system starts no pilot, as far as it says so.
	Waiting []waitDocument   `json:"waiting,omitempty"`
	Drain   *harvester.Drain `json:"drain,omitempty"`
}

// statusHistory is how far back those that have ended are counted: among so many submitted last.
const statusHistory = 1000

// runDocument counts the workers of a run, as the store has them: all that live, and of the latest those that have ended.
type runDocument struct {
	RunID     string                  `json:"run_id"`
	Namespace string                  `json:"namespace"`
	Wanted    int                     `json:"wanted"`
	Workers   map[harvester.State]int `json:"workers"`
	Failed    int                     `json:"failed"`
	Reason    string                  `json:"reason,omitempty"`
}

// waitDocument counts the workers that wait or are held for the same reason.
type waitDocument struct {
	State   harvester.State `json:"state"`
	Reason  string          `json:"reason"`
	Workers int             `json:"workers"`
	// Example is the newest of them.
	Example string `json:"example"`
}

// wait takes in the reason of a worker that does not run.
func (d *statusDocument) wait(w harvester.Worker) {
	if w.State != harvester.Queued && w.State != harvester.Held || w.Reason == "" {
		return
	}
	i := slices.IndexFunc(d.Waiting, func(o waitDocument) bool { return o.State == w.State && o.Reason == w.Reason })
	if i < 0 {
		i = len(d.Waiting)
		d.Waiting = append(d.Waiting, waitDocument{State: w.State, Reason: w.Reason, Example: w.ID})
	}
	d.Waiting[i].Workers++
}

// status reads all that the store and the lock tell; it works whether a harvester runs or not.
func status(ctx context.Context, cfg site.Config, store *sqlite.Store) (statusDocument, error) {
	d := statusDocument{Name: cfg.Name, System: cfg.System}
	if _, err := store.Document(ctx, harvester.ReportDocument, &d.Report); err != nil {
		return d, err
	}
	var drain harvester.Drain
	if found, err := store.Document(ctx, harvester.DrainDocument, &drain); err != nil {
		return d, err
	} else if found {
		d.Drain = &drain
	}
	owner, held, err := lockfile.Holder(cfg.State)
	if err != nil {
		return d, err
	}
	if held {
		d.Harvester = &owner
	}
	workers, err := store.Live(ctx)
	if err != nil {
		return d, err
	}
	latest, err := store.Latest(ctx, statusHistory)
	if err != nil {
		return d, err
	}
	workers = append(workers, slices.DeleteFunc(latest, func(w harvester.Worker) bool { return w.State.Live() })...)
	for _, r := range d.Report.Runs {
		if r.Demanded {
			d.Runs = append(d.Runs, runDocument{RunID: r.RunID, Namespace: r.Namespace, Wanted: r.Wanted, Reason: r.Reason, Workers: map[harvester.State]int{}})
		}
	}
	for _, w := range workers {
		i := slices.IndexFunc(d.Runs, func(r runDocument) bool { return r.RunID == w.RunID && r.Namespace == w.Namespace })
		if i < 0 {
			i = len(d.Runs)
			d.Runs = append(d.Runs, runDocument{RunID: w.RunID, Namespace: w.Namespace, Workers: map[harvester.State]int{}})
		}
		d.Runs[i].Workers[w.State]++
		d.wait(w)
		if w.Failed(cfg.ShortLife) {
			d.Runs[i].Failed++
		}
	}
	// Of a run that is over and had no pilots here there is nothing to say.
	d.Runs = slices.DeleteFunc(d.Runs, func(r runDocument) bool { return r.Wanted == 0 && len(r.Workers) == 0 })
	return d, nil
}

// holder says in words who works, and when it looked last.
func (d statusDocument) holder(now time.Time) string {
	who := "none runs"
	if d.Harvester != nil {
		who = d.Harvester.String()
	}
	if d.Report.At.IsZero() {
		return who
	}
	return fmt.Sprintf("%s; its last look was %s ago", who, now.Sub(d.Report.At).Round(time.Second))
}

func statusCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg, "state")
	return &cli.Command{
		Name: "status", Usage: "the queue: wanted, waiting, running, failed, and what is in the way",
		Description: "Works whether a harvester runs or not: it reads what is in the state folder.\n\n" +
			"Examples:\n" +
			"  harvester status --config site.toml\n" +
			"  harvester status --config site.toml --output json",
		Flags: append(opts.Flags(), program.OutputFlag()), Before: opts.Before,
		Action: func(c *cli.Context) error {
			return withStore(c, cfg, func(store *sqlite.Store) error {
				d, err := status(c.Context, cfg, store)
				if err != nil {
					return err
				}
				if c.String("output") == "table" {
					if err := d.head(time.Now()).Write(c.App.Writer); err != nil {
						return err
					}
					fmt.Fprintln(c.App.Writer)
				}
				return program.Print(c, d, d.table())
			})
		},
	}
}

// head is what is not about a run.
func (d statusDocument) head(now time.Time) program.Table {
	rows := [][]string{{"queue", fmt.Sprintf("%s (%s)", d.Name, d.System)}, {"harvester", d.holder(now)}}
	if d.Drain != nil {
		rows = append(rows, []string{"drains", "since " + d.Drain.Since.Local().Format(time.DateTime) + ", by " + d.Drain.By})
	}
	if p := d.Report.Pause; p.Failures > 0 {
		text := fmt.Sprintf("failures in a row: %d, the last: %s", p.Failures, p.Why)
		if p.Until.After(now) {
			text += "; next submission in " + p.Until.Sub(now).Round(time.Second).String()
		}
		rows = append(rows, []string{"back-off", text})
	}
	for _, n := range d.Report.Excluded {
		rows = append(rows, []string{"kept away from", fmt.Sprintf("%s until %s: %s", n.Node, n.Until.Local().Format(time.DateTime), n.Why)})
	}
	for _, t := range d.Report.Trouble {
		rows = append(rows, []string{"trouble", fmt.Sprintf("%s for %s: %s", t.Whom, now.Sub(t.Since).Round(time.Second), t.Text)})
		if t.Next != "" {
			rows = append(rows, []string{"", "  do: " + t.Next})
		}
	}
	if d.Report.Strays > 0 {
		rows = append(rows, []string{"strays", fmt.Sprintf("%d jobs of ours that the store does not know; harvester adopt takes them in", d.Report.Strays)})
	}
	return program.Table{Rows: rows}
}

func (d statusDocument) table() program.Table {
	t := program.Table{Header: []string{"RUN", "NAMESPACE", "WANTED", "QUEUED", "RUNNING", "OTHER", "ENDED", "FAILED", "REASON"}}
	for _, r := range d.Runs {
		n := func(states ...harvester.State) string {
			sum := 0
			for _, s := range states {
				sum += r.Workers[s]
			}
			return strconv.Itoa(sum)
		}
		t.Rows = append(t.Rows, []string{
			cmp.Or(r.RunID, "(any)"), r.Namespace, strconv.Itoa(r.Wanted), n(harvester.Intended, harvester.Queued), n(harvester.Running),
			n(harvester.Held, harvester.Suspended, harvester.Ending, harvester.Unknown), n(harvester.Ended, harvester.Missing), strconv.Itoa(r.Failed), r.Reason,
		})
	}
	return t
}
