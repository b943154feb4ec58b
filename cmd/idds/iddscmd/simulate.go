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
	Seeds     int           `toml:"seeds" default:"1" help:"take each scenario with so many seeds, from --seed on, and count how often something beat the policy"`
	Vary      bool          `toml:"vary" help:"each seed draws its own length of the beam, load, slices, files, starts and request: what holds for a scenario as it is may be a chance of its numbers"`
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
			"counted from when a worker could have its first slice; those before are in START s. CHANGES are of the number that is wanted, TURNS those\n" +
			"after which it goes the other way: a fixed number has one of each, when it begins. With --seeds each scenario has one line: how\n" +
			"often another was as good with less than 95 % of the worker seconds (BEATEN), by what part of them at most, and how often the policy had\n" +
			"less than 95 % within the goal where a fixed number had not. The policy may have at most as many\n" +
			"workers as the largest fixed number, which is twice the NEED: what the load keeps busy where it is largest.\n\n" +
			"Scenarios:\n" + strings.Join(lines, "\n") + "\n\n" +
			"Examples:\n" +
			"  idds simulate-demand\n" +
			"  idds simulate-demand --seeds 100 --vary            # minutes\n" +
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
	if cfg.Seeds < 1 || cfg.Seeds > 100_000 {
		return exitcode.New(exitcode.Usage, "--seeds %d: must be from 1 to 100000", cfg.Seeds)
	}
	if cfg.Seeds > 1 {
		return tryDemand(c, cfg, chosen)
	}
	out := make([]simulate.Comparison, 0, len(chosen))
	progress := program.NewProgress(c.App.ErrWriter, time.Now())
	for i, s := range chosen {
		progress.Show(time.Now(), fmt.Sprintf("%s, scenario %d of %d", s.Name, i+1, len(chosen)))
		if cfg.Vary {
			s = s.Varied(cfg.Seed)
		}
		one, err := simulate.Compare(c.Context, s, cfg.Seed, cfg.Demand)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	progress.Clear()
	return program.Print(c, out, comparisonTable(out, cfg.All))
}

// tryDemand takes each scenario with many seeds.
func tryDemand(c *cli.Context, cfg simulateConfig, chosen []simulate.Scenario) error {
	out := make([]simulate.Trials, 0, len(chosen))
	progress := program.NewProgress(c.App.ErrWriter, time.Now())
	for i, s := range chosen {
		n := 0
		one, err := simulate.Try(c.Context, s, cfg.Seed, cfg.Seeds, cfg.Vary, cfg.Demand, func(simulate.Comparison) {
			n++
			progress.Show(time.Now(), fmt.Sprintf("%s, scenario %d of %d: seed %d of %d", s.Name, i+1, len(chosen), n, cfg.Seeds))
		})
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	progress.Clear()
	return program.Print(c, out, trialsTable(out))
}

// trialsTable has a line for each scenario.
func trialsTable(all []simulate.Trials) program.Table {
	t := program.Table{Header: []string{"SCENARIO", "SEEDS", "BEATEN", "BY AT MOST", "REACHABLE", "BELOW 95 %", "WITHIN GOAL", "LOWEST", "BUSY", "STARTS", "CHANGES/h", "TURNS/h"}}
	percent := func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
	for _, r := range all {
		t.Rows = append(t.Rows, []string{
			r.Scenario, strconv.Itoa(r.Seeds), strconv.Itoa(r.Beaten), percent(1 - r.Cheapest), strconv.Itoa(r.Reachable), strconv.Itoa(r.Below),
			percent(r.Share), percent(r.Lowest), percent(r.Busy), percent(r.Starts), fmt.Sprintf("%.0f", r.ChangesPerHour), fmt.Sprintf("%.0f", r.TurnsPerHour),
		})
	}
	return t
}

// comparisonTable shows of each scenario the policy, the rule, and those fixed numbers that tell something: the need, the smallest
// that has 95 % within the goal, and the cheapest that is as good as the policy.
func comparisonTable(all []simulate.Comparison, every bool) program.Table {
	t := program.Table{Header: []string{"SCENARIO", "NEED", "WORKERS", "WITHIN GOAL", "WORKER s", "OF POLICY", "START s", "BUSY", "MOST", "CHANGES", "TURNS", "P95 s", "NOTE"}}
	for _, c := range all {
		add := func(r simulate.Result, note string) {
			t.Rows = append(t.Rows, []string{
				c.Scenario, strconv.Itoa(c.Need), r.Strategy, fmt.Sprintf("%.2f %%", 100*r.Share), fmt.Sprintf("%.0f", r.WorkerSeconds),
				fmt.Sprintf("%.0f %%", 100*r.WorkerSeconds/c.Policy.WorkerSeconds), fmt.Sprintf("%.0f", r.StartSeconds), fmt.Sprintf("%.0f %%", 100*r.Busy),
				strconv.Itoa(r.Most), strconv.Itoa(r.Changes), strconv.Itoa(r.Turns), fmt.Sprintf("%.1f", r.P95), note,
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
