// Package daqcmd is the command line of daq, and wires the detector and the broker into it.
package daqcmd

import (
	"io"

	"github.com/urfave/cli/v2"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/daq/replay"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/runplan"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "daq",
		Usage: "the detector side: takes runs, writes time-frame files, publishes slices",
		Description: "Examples:\n" +
			"  daq plan --stf-count 3                                    what would happen, and when\n" +
			"  daq generate --stf-count 1 --frames 100 --data data       files only\n" +
			"  daq generate --stf-count 1 --replay events.root           the same, of simulated events\n" +
			"  daq inspect data/swf.100001.000001.stf                    what is in a file\n" +
			"  daq run --broker-addr 127.0.0.1:61613 --config plan.toml  a run, in real time",
		Commands: []*cli.Command{runCommand(), planCommand(), generateCommand(), inspectCommand()},
	}
}

// detector is where the frames come from, the same for all commands.
type detector struct {
	Detector detsim.Config `toml:"detector"`
	Replay   replay.Config `toml:",inline"`
}

// flags are those of a binding, with --plan as another name of --config: the plan is the file.
func flags(bind *config.Binding, more ...cli.Flag) []cli.Flag {
	all := bind.Flags()
	for _, f := range all {
		if s, ok := f.(*cli.StringFlag); ok && s.Name == "config" {
			s.Aliases = []string{"plan"}
			s.Usage = "read the plan and all other options from this TOML `FILE` [$TFPILOT_CONFIG]"
		}
	}
	return append(all, more...)
}

// dataHint names the option of the folder that is full, or cannot be written to.
func dataHint(err error) error {
	if exitcode.From(err) == exitcode.SiteNoSpace {
		return exitcode.WithNext(err, "free the disk, or choose another folder with --data")
	}
	return err
}

// source is the detector of a plan: what is replayed, or the built-in one. It is to be closed.
func source(d detector, p runplan.Plan) (daq.Source, io.Closer, error) {
	if d.Replay.File == "" {
		g, err := detsim.New(d.Detector, p.Seed)
		return g, io.NopCloser(nil), err
	}
	s, err := replay.Open(d.Replay, replay.Run{FrameNS: d.Detector.FrameNS, Frames: p.Frames, Seed: p.Seed})
	if exitcode.From(err) == exitcode.DataMissing {
		err = exitcode.WithNext(err, "check the name after --replay")
	}
	return s, s, err
}
