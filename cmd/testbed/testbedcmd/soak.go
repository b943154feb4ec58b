package testbedcmd

import (
	"cmp"
	"strconv"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/testbed/soak"
)

func soakCommand() *cli.Command {
	var cfg soak.Config
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "soak",
		Usage: "a million slices through one pilot: does anything grow?",
		Description: "Takes slices that do nothing through the embedded broker and one pilot, and prints after every tenth of them what both\n" +
			"processes hold: memory, open files, goroutines, the pilot's journal and the broker's log.\n\n" +
			"Examples:\n" +
			"  testbed soak                       some minutes\n" +
			"  testbed soak --slices 20000        memory and files are not judged below 200000: caches still fill\n\n" +
			"Exit status: 0 if every slice is done once and nothing has grown, 4 if not; 64 for a wrong flag.",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			bin, err := programFolder()
			if err != nil {
				return err
			}
			report, err := soak.Run(c.Context, cfg, bin, c.App.ErrWriter)
			if len(report.Rows) == 0 {
				return err
			}
			return cmp.Or(printSoak(c, report), exitcode.WithNext(err, "the report is soak.json in "+cfg.Out))
		},
	}
}

// printSoak shows the report in the format of --output.
func printSoak(c *cli.Context, report soak.Report) error {
	if format := c.String("output"); format != "table" {
		t := program.Table{}
		for _, row := range report.Rows {
			t.Rows = append(t.Rows, []string{strconv.Itoa(row.Slices)})
		}
		return program.Print(c, report, t)
	}
	return report.Print(c.App.Writer)
}
