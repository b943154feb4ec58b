package iddscmd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/demand"
	"tfpilot/internal/demand/simulate"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// simulateConfig is what `idds simulate-demand` can be told.
type simulateConfig struct {
	Scenarios []string      `toml:"scenario" help:"only these scenarios (default: all)"`
	Seed      uint64        `toml:"seed" default:"1" zero:"true" help:"another one gives other slices and other starts of workers"`
	All       bool          `toml:"all" help:"list every fixed number, and not only those of interest"`
	Demand    demand.Policy `toml:"demand"`
}

func simulateCommand() *cli.Command {
	var cfg simulateConfig
	bind := config.Bind(&cfg)
	var lines []string
	for _, s := range simulate.Scenarios() {
		lines = append(lines, fmt.Sprintf("  %-11s %s", s.Name, s.About))
	}
	return &cli.Command{
		Name: "simulate-demand", Usage: "compare ways to decide how many workers are wanted, in simulated time", ArgsUsage: program.NoArguments,
		Description: "Takes the demand policy, fixed numbers of workers and the rule of the Python system through the same runs, and prints what share\n" +
			"of the slices has its result within the goal, and what that cost. Nothing is asked and nothing is started. Worker seconds are\n" +
			"counted from when a worker could have its first slice; those before are in START s. The policy may have at most as many\n" +
			"workers as the largest fixed number, which is twice the NEED: what the load keeps busy where it is largest.\n\n" +
			"Scenarios:\n" + strings.Join(lines, "\n") + "\n\n" +
			"Examples:\n" +
			"  idds simulate-demand\n" +
			"  idds simulate-demand --scenario burst,pause --seed 7 --demand-goal 20s\n" +
			"  idds simulate-demand --output json",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			if err := program.NoArgs(c); err != nil {
				return err
			}
			return simulateDemand(c, cfg)
		},
	}
}

func simulateDemand(c *cli.Context, cfg simulateConfig) error {
	if err := cfg.Demand.Validate(); err != nil {
		return exitcode.Wrap(exitcode.Usage, err)
	}
	var names []string
	chosen := simulate.Scenarios()
	for _, s := range chosen {
		names = append(names, s.Name)
	}
	for _, name := range cfg.Scenarios {
		if !slices.Contains(names, name) {
			return exitcode.New(exitcode.Usage, "--scenario %q is none of %s", name, strings.Join(names, ", "))
		}
	}
	if len(cfg.Scenarios) > 0 {
		chosen = slices.DeleteFunc(chosen, func(s simulate.Scenario) bool { return !slices.Contains(cfg.Scenarios, s.Name) })
	}
	out := make([]simulate.Comparison, 0, len(chosen))
	progress := program.NewProgress(c.App.ErrWriter, time.Now())
	for i, s := range chosen {
		progress.Show(time.Now(), fmt.Sprintf("%s, scenario %d of %d", s.Name, i+1, len(chosen)))
		one, err := simulate.Compare(c.Context, s, cfg.Seed, cfg.Demand)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	progress.Clear()
	return program.Print(c, out, comparisonTable(out, cfg.All))
}

// comparisonTable shows of each scenario the policy, the rule, and those fixed numbers that tell something: the need, the smallest
// that has 95 % within the goal, and the cheapest that is as good as the policy.
func comparisonTable(all []simulate.Comparison, every bool) program.Table {
	t := program.Table{Header: []string{"SCENARIO", "NEED", "WORKERS", "WITHIN GOAL", "WORKER s", "OF POLICY", "START s", "BUSY", "MOST", "P95 s", "NOTE"}}
	for _, c := range all {
		add := func(r simulate.Result, note string) {
			t.Rows = append(t.Rows, []string{
				c.Scenario, strconv.Itoa(c.Need), r.Strategy, fmt.Sprintf("%.2f %%", 100*r.Share), fmt.Sprintf("%.0f", r.WorkerSeconds),
				fmt.Sprintf("%.0f %%", 100*r.WorkerSeconds/c.Policy.WorkerSeconds), fmt.Sprintf("%.0f", r.StartSeconds), fmt.Sprintf("%.0f %%", 100*r.Busy),
				strconv.Itoa(r.Most), fmt.Sprintf("%.1f", r.P95), note,
			})
		}
		note := "nothing else is as good with less than 95 % of its worker seconds"
		if !c.OK() {
			note = "as good and cheaper: " + strings.Join(c.Better, ", ")
			if len(c.Better) == 0 {
				note = "a fixed number has 95 % within the goal"
			}
		}
		add(c.Policy, note)
		add(c.Rule, "")
		least, same := c.Cheapest(0.95), c.Cheapest(c.Policy.Share)
		for i := range c.Fixed {
			f := &c.Fixed[i]
			var notes []string
			for _, of := range []struct {
				is   bool
				what string
			}{{i+1 == c.Need, "the need"}, {f == least, "cheapest with 95 %"}, {f == same, "cheapest that is as good"}} {
				if of.is {
					notes = append(notes, of.what)
				}
			}
			if every || len(notes) > 0 {
				add(*f, strings.Join(notes, ", "))
			}
		}
	}
	return t
}
