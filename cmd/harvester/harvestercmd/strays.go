package harvestercmd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/internal/program"
)

// jobDocument is a job in the batch system, for programs.
type jobDocument struct {
	ID        string          `json:"id"`
	Worker    string          `json:"worker"`
	Submitter string          `json:"submitter"`
	State     harvester.State `json:"state"`
	Node      string          `json:"node,omitempty"`
}

func jobTable(jobs []harvester.Job) ([]jobDocument, program.Table) {
	list := make([]jobDocument, len(jobs))
	t := program.Table{Header: []string{"BATCH ID", "WORKER", "SUBMITTER", "STATE", "NODE"}}
	for i, j := range jobs {
		list[i] = jobDocument{j.ID, j.Tag + "." + strconv.Itoa(j.Index), harvester.Submitter(j.Tag), j.State, j.Node}
		t.Rows = append(t.Rows, []string{list[i].ID, list[i].Worker, list[i].Submitter, string(list[i].State), list[i].Node})
	}
	return list, t
}

func adoptCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg)
	return &cli.Command{
		Name: "adopt", Usage: "take jobs into the store that it does not know", ArgsUsage: "[SUBMITTER...]",
		Description: "Without an argument: jobs of this store, of which it has lost the record. With the names of other submitters, such as of a\n" +
			"state folder that is gone, theirs. `harvester reap` lists submitters. They count as pilots of --run; what waits without a\n" +
			"run that is wanted is cancelled at the harvester's next look.\n\n" +
			"Examples:\n" +
			"  harvester adopt --config site.toml --run 100001\n" +
			"  harvester adopt --config site.toml --run 100001 k3j2x9",
		Flags:  append(append(opts.Flags(), program.OutputFlag()), program.LogFlags()...),
		Before: opts.Load,
		Action: func(c *cli.Context) error {
			s, jobs, err := strays(c, cfg, false)
			if err != nil {
				return err
			}
			defer s.close()
			adopted, err := s.Adopt(s.ctx, jobs, cfg.Run, cfg.Namespace)
			if err != nil {
				return err
			}
			return program.Print(c, adopted, workerTable(adopted))
		},
	}
}

func reapCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg)
	return &cli.Command{
		Name: "reap", Usage: "cancel the jobs of a submitter that is gone; only shows them without --yes", ArgsUsage: "[SUBMITTER...]",
		Description: "Without an argument: the jobs of this state folder, on which no harvester may run. With names: those of these submitters,\n" +
			"whoever they are. What runs is cancelled too.\n\n" +
			"Examples:\n" +
			"  harvester reap --config site.toml               what would be cancelled\n" +
			"  harvester reap --config site.toml --yes\n" +
			"  harvester reap --config site.toml --all         the jobs of every submitter\n" +
			"  harvester reap --config site.toml --yes k3j2x9",
		Flags: append(append(opts.Flags(), program.OutputFlag(), &cli.BoolFlag{Name: "yes", Usage: "do it"},
			&cli.BoolFlag{Name: "all", Usage: "show the jobs of all submitters; cancels nothing"}), program.LogFlags()...),
		Before: opts.Load,
		Action: func(c *cli.Context) error {
			s, jobs, err := strays(c, cfg, c.Bool("all"))
			if err != nil {
				return err
			}
			defer s.close()
			list, table := jobTable(jobs)
			if err := program.Print(c, list, table); err != nil {
				return err
			}
			switch {
			case c.Bool("all") || len(jobs) == 0:
				return nil
			case !c.Bool("yes"):
				_, err = fmt.Fprintf(c.App.ErrWriter, "nothing was cancelled; --yes cancels these jobs (%d)\n", len(jobs))
				return err
			}
			return s.Reap(s.ctx, jobs, "reaped by hand")
		},
	}
}

// strays opens the station and lists living jobs: of all submitters, of those that are named, or of this store's.
func strays(c *cli.Context, cfg site.Config, all bool) (*station, []harvester.Job, error) {
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return nil, nil, err
	}
	s, err := open(c.Context, cfg, log, harvester.Fixed{})
	if err != nil {
		return nil, nil, err
	}
	jobs, ours, err := s.Jobs(s.ctx, c.Args().Slice()...)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	if c.NArg() > 0 || all {
		return s, jobs, nil
	}
	var kept []harvester.Job
	others := map[string]int{}
	for _, j := range jobs {
		if name := harvester.Submitter(j.Tag); name == cmp.Or(ours, "-") {
			kept = append(kept, j)
		} else {
			others[name]++
		}
	}
	if len(kept) == 0 && len(others) > 0 { // such as those of a state folder that is gone
		var names []string
		for _, name := range slices.Sorted(maps.Keys(others)) {
			names = append(names, fmt.Sprintf("%s (%d)", name, others[name]))
		}
		fmt.Fprintf(c.App.ErrWriter, "no job is of this state folder; a submitter is named when the jobs of another are meant: %s\n", strings.Join(names, ", "))
	}
	return s, kept, nil
}
