package testbedcmd

import (
	"cmp"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/testbed/chaos"
)

func chaosCommand() *cli.Command {
	var cfg chaos.Config
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "chaos",
		Usage: "break the chain in every way there is, and account for every slice",
		Description: "Runs the chain once for every fault, injects it at points that the seed chooses, and prints one row for each: what\n" +
			"became of the slices, what was done twice, and how long it took until results came again. With --broker it qualifies\n" +
			"a broker that you run: its links are broken through a proxy, it is itself killed only with --broker-kill.\n\n" +
			"Faults:\n" + chaos.Faults() + "\n" +
			"Examples:\n" +
			"  testbed chaos                                          every short fault on the embedded broker, some minutes\n" +
			"  testbed chaos --faults kill-pilot,reset-links --slices 200 --seed 7\n" +
			"  testbed chaos --broker 127.0.0.1:61613 --login panda --passcode-file panda.passcode\n\n" +
			"Exit status: 0 if every promise was kept, 4 if one was broken; 40 if the broker does not answer, 42 if it refuses us, 51 if\n" +
			"it lacks a binding; 64 for a wrong flag. docs/operations/faults.md says how to read the table.",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			bin, err := programFolder()
			if err != nil {
				return err
			}
			report, err := chaos.Run(c.Context, cfg, bin, c.App.ErrWriter)
			if len(report.Rows) == 0 {
				return err
			}
			return cmp.Or(printChaos(c, report), exitcode.WithNext(err, "the report is chaos.json in "+cfg.Out+", the logs are in its folder logs"))
		},
	}
}

// printChaos shows the report in the format of --output.
func printChaos(c *cli.Context, report chaos.Report) error {
	if format := c.String("output"); format != "table" {
		t := program.Table{} // quiet: the names of what was injected
		for _, row := range report.Rows {
			t.Rows = append(t.Rows, []string{row.Fault})
		}
		return program.Print(c, report, t)
	}
	return report.Print(c.App.Writer)
}
