// Package testbedcmd is the command line of testbed.
package testbedcmd

import (
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
			"  testbed broker --listen 127.0.0.1:61613        the embedded broker alone",
		Commands: []*cli.Command{demoCommand(), brokerCommand()},
	}
}

func demoCommand() *cli.Command {
	var cfg testbed.DemoConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name:  "demo",
		Usage: "take time frames through the whole chain and report what became of every slice",
		Description: "Starts broker, idds, harvester and daq as separate processes on free loopback ports, runs a plan, and leaves\n" +
			"report.html, report.json and histograms.root in the output folder. Ctrl-C stops everything.\n\n" +
			"Exit status: 0 if every published slice is done, 2 if any failed, 1 otherwise.",
		Flags: append(bind.Flags(), program.OutputFlag()),
		Action: func(c *cli.Context) error {
			if err := program.NoArgs(c); err != nil {
				return err
			}
			if err := bind.Load(c); err != nil {
				return err
			}
			bin, err := programFolder()
			if err != nil {
				return err
			}
			report, err := testbed.Demo(c.Context, cfg, bin, c.App.ErrWriter)
			if err != nil && exitcode.From(err) != exitcode.SliceFailed {
				err = program.WithStatus(err, 1)
			}
			if report.RunID == "" {
				return err
			}
			if c.String("output") == "json" {
				if perr := program.Print(c, report, program.Table{}); perr != nil {
					return perr
				}
				return err
			}
			if perr := report.Print(c.App.Writer); perr != nil {
				return perr
			}
			_, perr := c.App.Writer.Write([]byte("\nreport: " + filepath.Join(cfg.Out, "report.html") + "\n"))
			if perr != nil {
				return perr
			}
			return err
		},
	}
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
