package harvestercmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester/explain"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
)

// explanation is `explain` for programs.
type explanation struct {
	Worker    string   `json:"worker,omitempty"`
	Sentences []string `json:"sentences"`
}

func explainCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg, "state")
	return &cli.Command{
		Name: "explain", Usage: "why nothing is submitted, or why a worker is in its state, in sentences", ArgsUsage: "[WORKER|BATCH-ID]",
		Description: "Examples:\n" +
			"  harvester explain --config site.toml\n" +
			"  harvester explain tfpilot-k3j2x9-abcdefghij.0",
		Flags: append(opts.Flags(), program.OutputFlag()),
		Action: func(c *cli.Context) error {
			var name string
			var err error
			if c.Args().Present() {
				name, err = oneWorker(c, opts)
			} else {
				err = opts.Before(c)
			}
			if err != nil {
				return err
			}
			return withStore(c, cfg, func(store *sqlite.Store) error {
				e := explanation{Worker: name}
				if name != "" {
					w, err := find(c, store, name)
					if err != nil {
						return err
					}
					e.Sentences = explain.Worker(w, time.Now())
				} else {
					d, err := status(c.Context, cfg, store)
					if err != nil {
						return err
					}
					e.Sentences = d.explain(time.Now())
				}
				var t program.Table
				for i, s := range e.Sentences {
					e.Sentences[i] = logging.Redact(s)
					t.Rows = append(t.Rows, []string{e.Sentences[i]})
				}
				return program.Print(c, e, t)
			})
		},
	}
}

// explain says first whether anybody looks at all.
func (d statusDocument) explain(now time.Time) []string {
	var out []string
	switch {
	case d.Harvester == nil && d.Report.At.IsZero():
		return []string{"No harvester runs on this state folder, and none has looked yet: `harvester run` does."}
	case d.Harvester == nil:
		out = append(out, "No harvester runs on this state folder, so nothing is submitted or cancelled; `harvester run` does. What follows was so "+
			now.Sub(d.Report.At).Round(time.Second).String()+" ago.")
	default:
		out = append(out, "The harvester is "+d.holder(now)+".")
	}
	out = append(out, explain.Report(d.Report, now)...)
	for _, w := range d.Waiting {
		out = append(out, fmt.Sprintf("The batch system says of %d %s, such as %s: %s.", w.Workers, w.State, w.Example, strings.TrimSuffix(w.Reason, ".")))
	}
	return out
}
