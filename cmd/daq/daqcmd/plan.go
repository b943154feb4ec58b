package daqcmd

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/runplan"
)

// planned is one step as it is shown.
type planned struct {
	Step      int     `json:"step"`
	AtSeconds float64 `json:"at_s"`
	Condition string  `json:"condition"`
	Message   string  `json:"message,omitempty"`
	STF       string  `json:"stf,omitempty"`
	Samples   int     `json:"samples,omitempty"`
	Slices    int     `json:"slices,omitempty"`
	First     string  `json:"first_slice,omitempty"`
	Last      string  `json:"last_slice,omitempty"`
}

func planCommand() *cli.Command {
	var plan runplan.Plan
	bind := config.Bind(&plan)
	return &cli.Command{
		Name:  "plan",
		Usage: "show what a run would do, and when, without doing it",
		Description: "Takes the options of daq run that are the plan's. An endless plan is cut off after --steps.\n\n" +
			"Example: daq plan --stf-count 3",
		Flags:  flags(bind, &cli.IntFlag{Name: "steps", Value: 200, Usage: "show at most so many steps"}, program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			if err := plan.Validate(); err != nil {
				return err
			}
			if n := c.Int("steps"); n < 1 {
				return exitcode.New(exitcode.Usage, "--steps %d: must be at least 1", n)
			}
			if plan.Run == "" {
				plan.Run = "RUN"
			}
			return program.Print(c, steps(plan, c.Int("steps")), planTable(steps(plan, c.Int("steps"))))
		},
	}
}

func steps(plan runplan.Plan, limit int) []planned {
	var out []planned
	for s := range plan.Steps() {
		if len(out) >= limit {
			break
		}
		p := planned{Step: s.Index, AtSeconds: s.Tick.Seconds(), Condition: s.Condition.String(), Message: s.Message}
		if s.Sequence > 0 {
			taken := runplan.STF{Sequence: s.Sequence, Name: runplan.STFName(plan.Run, s.Sequence)}
			p.STF, p.Samples = taken.Name, len(plan.Samples(taken))
			if list := plan.Slices(taken); len(list) > 0 {
				p.Slices, p.First, p.Last = len(list), frames(list[0].Range), frames(list[len(list)-1].Range)
			}
		}
		out = append(out, p)
	}
	return out
}

func frames(r runplan.Range) string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

func planTable(list []planned) program.Table {
	t := program.Table{Header: []string{"STEP", "AT", "CONDITION", "MESSAGE", "STF", "SAMPLES", "SLICES", "FRAMES"}}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	for _, p := range list {
		ranges := ""
		if p.Slices > 0 {
			ranges = p.First + " .. " + p.Last
		}
		t.Rows = append(t.Rows, []string{
			strconv.Itoa(p.Step), fmt.Sprintf("%.1f s", p.AtSeconds), p.Condition, p.Message, p.STF,
			number(p.Samples), number(p.Slices), ranges,
		})
	}
	return t
}
