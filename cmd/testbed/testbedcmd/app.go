// Package testbedcmd is the command line of testbed.
package testbedcmd

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/testbed"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "testbed",
		Usage: "the whole of tfpilot on one machine",
		Description: "Examples:\n" +
			"  testbed demo                                   3 STFs through the whole chain, ten seconds or so\n" +
			"  testbed demo --stfs 1 --frames 100 --slots 2   a small one\n" +
			"  testbed chaos --faults kill-pilot,reset-links  break it, and see that nothing is lost\n" +
			"  testbed broker --listen 127.0.0.1:61613        the embedded broker alone",
		Commands: []*cli.Command{demoCommand(), chaosCommand(), soakCommand(), brokerCommand()},
	}
}

func demoCommand() *cli.Command {
	var cfg testbed.DemoConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "demo",
		Usage: "take time frames through the whole chain and report what became of every slice",
		Description: "Starts broker, idds, harvester and daq as separate processes on free loopback ports, runs a plan, and leaves\n" +
			"report.html, report.json and histograms.root in the output folder. Ctrl-C stops everything. With --keep the control-room page\n" +
			"stays up after the run until then.\n\n" +
			"Examples:\n" +
			"  testbed demo                                   3 STFs through the whole chain, ten seconds or so\n" +
			"  testbed demo --stfs 1 --frames 100 --slots 2   a small one\n" +
			"  testbed demo --keep                            and then look at it, in a browser or with `idds top`\n" +
			"  testbed demo --stfs 1 --frames 150 --payload acts      real reconstruction, in Python, of simulated events\n" +
			"  testbed demo --payload mine.toml --replay events.root  your payload on your simulation\n\n" +
			"Exit status: 0 if every published slice is done, 2 if any failed, 1 if the run does not add up or did not come to its end;\n" +
			"of what kept it from running that of the table (`pilot explain`): 64 for a wrong flag or payload file, 43 for an output\n" +
			"folder that cannot be used. With --output quiet only the path of the report is printed.",
		Flags:  append(bind.Flags(), program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			bin, err := programFolder()
			if err != nil {
				return err
			}
			cfg.Show = func(r testbed.Report) error { return printReport(c, r, cfg) }
			_, err = testbed.Demo(c.Context, cfg, bin, c.App.ErrWriter)
			if f := exitcode.From(err); f == exitcode.CheckFailed || f == exitcode.Interrupted {
				err = program.WithStatus(err, 1)
			}
			return err
		},
	}
}

// printReport shows the report in the format of --output.
func printReport(c *cli.Context, report testbed.Report, cfg testbed.DemoConfig) error {
	page := filepath.Join(cfg.Out, "report.html")
	if format := c.String("output"); format != "table" {
		return program.Print(c, report, program.Table{Rows: [][]string{{page}}})
	}
	if err := report.Print(c.App.Writer); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.App.Writer, "\nreport: %s\n", page)
	if err == nil && cfg.Keep {
		_, err = fmt.Fprintf(c.App.Writer, "page:   %s\n", report.Page)
	} else if err == nil {
		_, err = fmt.Fprintf(c.App.Writer, "page:   there while the run was (--keep leaves it up): %s\n", report.Page)
	}
	return err
}

// programFolder is where the other programs are: beside this one.
func programFolder() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", exitcode.New(exitcode.SiteNoProgram, "finding the folder of the programs: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", exitcode.New(exitcode.SiteNoProgram, "finding the folder of the programs: %w", err)
	}
	return filepath.Dir(self), nil
}
