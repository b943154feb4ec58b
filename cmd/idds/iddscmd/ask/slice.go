package ask

import (
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

func showSliceCommand() *cli.Command {
	return call("show", "show one slice: where it is, its attempts, and why they ended as they did", "SLICE",
		"SLICE is its identity, as `idds slices` lists it. With --output json its message and all that happened to it are there too;\n"+
			"`wrapper replay` runs it.\n\n"+
			"Examples:\n"+
			"  idds slices show --token-file viewer.token 2837c040-d0c9-4236-a645-4d838711c5e4\n"+
			"  idds slices show 2837c040-d0c9-4236-a645-4d838711c5e4 --run 100001 --output json", "viewer",
		[]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "its run; all are asked otherwise"},
			&cli.StringFlag{Name: "namespace", Usage: "its namespace, when the run is not unique"},
		}, func(c *cli.Context, client *rest.Client) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "slices show needs one identity: `idds slices` lists them")
			}
			s, err := client.FindSlice(c.Context, c.String("namespace"), c.String("run"), c.Args().First())
			if err != nil {
				return err
			}
			return program.Print(c, s, oneSlice(s))
		})
}

func oneSlice(s document.SliceHistory) program.Table {
	t := program.Table{Header: []string{"WHAT", "VALUE", "WHEN"}}
	add := func(what, value string, at time.Time) {
		when := ""
		if !at.IsZero() {
			when = at.Format(time.RFC3339)
		}
		t.Rows = append(t.Rows, []string{what, cell(value), when})
	}
	add("slice", s.Identity, s.CreatedAt)
	add("run", s.RunID+" in "+s.Namespace, time.Time{})
	add("file", fmt.Sprintf("%s, frames %d to %d", s.Filename, s.Start, s.End), time.Time{})
	add("state", s.State, s.FinishedAt)
	if s.Where != "" {
		add("where", s.Where, time.Time{})
	}
	for _, a := range s.Attempts {
		value := a.State
		if a.PilotID != "" {
			value += " by " + a.PilotID
		}
		if a.Hostname != "" {
			value += " on " + a.Hostname
		}
		if a.ProcessingTime > 0 {
			value += " in " + seconds(a.ProcessingTime)
		}
		if a.Reason != "" {
			value += ": " + a.Reason
		}
		add("attempt "+strconv.Itoa(a.Attempt), value, a.FinishedAt)
		if a.Failure != nil {
			add("", fmt.Sprintf("%s: %s", a.Failure.Name, a.Failure.Message), time.Time{})
		}
	}
	return t
}
