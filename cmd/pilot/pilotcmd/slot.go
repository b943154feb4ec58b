package pilotcmd

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/pilot/slotinfo"
)

// slotCommand prints what a pilot would know of the slot that it is called in.
func slotCommand() *cli.Command {
	var cfg slotinfo.Config
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "slot", Usage: "print what a pilot knows of the slot that it runs in, and where from",
		Description: "Called in a job it says whose slot it is, how many cores and how much memory belong to it, when it ends, and which\n" +
			"of several sources decides: the smallest amount, the soonest end.\n\n" +
			"Examples:\n" +
			"  pilot slot\n" +
			"  srun pilot slot --output json",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			slot, err := slotinfo.New(slotinfo.ThisMachine(), cfg)
			if err != nil {
				return err
			}
			asked := slot.Ask(c.Context)
			d := slot.Document()
			t := program.Table{Header: []string{"FACT", "VALUE", "SOURCE", "COUNTS"}}
			for _, f := range d.Facts {
				t.Rows = append(t.Rows, []string{f.Name, f.Value, f.Source, mark(f)})
			}
			if err := program.Print(c, d, t); err != nil {
				return err
			}
			if asked != nil {
				return fmt.Errorf("the batch system does not say when the slot ends: %w", exitcode.Wrap(exitcode.NoBatch, asked))
			}
			return nil
		},
	}
}

func mark(f document.SlotFact) string {
	if f.Counts {
		return "yes"
	}
	return ""
}
