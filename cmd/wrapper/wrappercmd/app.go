// Package wrappercmd is the command line of wrapper, and where its parts are put together.
package wrappercmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/program"
	"tfpilot/payload/kinds"
	"tfpilot/wrapper"
	"tfpilot/wrapper/report"
	"tfpilot/wrapper/trial"
)

// runConfig is everything that `wrapper run` can be told, but the slice. The names are those of `pilot run`.
type runConfig struct {
	Payload    string `toml:"payload" default:"tfreco" help:"tfreco, synthetic, or a payload's TOML file"`
	PayloadBin string `toml:"payload_bin" help:"path of tfpilot-payload (default: beside this program)"`

	Work wrapper.Config `toml:",inline"`
}

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "wrapper",
		Usage: "run one payload on one slice exactly as a pilot would, and show everything about it",
		Description: "Examples:\n" +
			"  wrapper init mine                             the beginning of a payload, which works\n" +
			"  wrapper run --payload mine.toml --stf data/swf.100001.000001.stf --frames 0-65\n" +
			"  wrapper run --payload mine.toml slice.json    a slice message, as it came over the wire\n" +
			"  wrapper logs                                  what payloads printed whose slices failed\n\n" +
			"The contract for authors of payloads is docs/payloads.md.",
		Commands: []*cli.Command{initCommand(), runCommand(), checkCommand(), shellCommand(), replayCommand(), logsCommand()},
	}
}

func runCommand() *cli.Command {
	var cfg runConfig
	var made made
	var times trial.Config
	var watching bool
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "run", Usage: "run a payload on a slice", ArgsUsage: "[SLICE.json | -]",
		Description: "The slice is a whole slice message in a file or, with -, on stdin; or it is made from --input, --first and --last. A file that\n" +
			"a message names by a relative name may also lie beside the message.\n\n" +
			"Examples:\n" +
			"  wrapper run --stf x.stf --frames 0-65                   the built-in reconstruction on 66 frames\n" +
			"  wrapper run --payload mine.toml --watch slice.json      and again whenever you save\n" +
			"  wrapper run --payload mine.toml --keep slice.json       look into the slice's folder afterwards\n" +
			"  wrapper run --payload mine.toml --output json - <s.json everything as one JSON document\n" +
			"  wrapper run --payload mine.toml --repeat 100 --slots 4 slice.json   do they all end well, and alike?\n\n" +
			"Exit status: 0 when the slice is done; otherwise the code of the failure, as it would stand in the result: 10 to 16\n" +
			"for the payload, 20 to 23 for its data, 30 to 32 for this machine, 59 after a signal, 64 for wrong use; 2 when some of\n" +
			"--repeat slices failed. All are in docs/exit-codes.md.",
		Flags: slices.Concat(made.flags(), []cli.Flag{
			&cli.IntFlag{Name: "repeat", Usage: "run the slice so many times, and report what one run does not show", Value: 1, Destination: &times.Repeat},
			&cli.IntFlag{Name: "slots", Usage: "slices at once, with --repeat", Value: 1, Destination: &times.Slots},
			&cli.BoolFlag{Name: "watch", Usage: "run again whenever a file in the payload's folder is saved; Ctrl-C ends it", Destination: &watching},
		}, bind.Flags(), []cli.Flag{program.OutputFlag()}),
		Action: func(c *cli.Context) error {
			if err := bind.Load(c); err != nil {
				return err
			}
			once := func() error { return run(c, cfg, made, times) }
			if watching {
				return watch(c, cfg.Payload, c.Args().First(), once)
			}
			return once()
		},
	}
}

// run works on the slice and reports. The failure has been shown by then: only its status is left to be given.
func run(c *cli.Context, cfg runConfig, m made, times trial.Config) error {
	s, err := readSlice(c, m, c.Args().Slice())
	if err != nil {
		return err
	}
	cfg.Work.DataDir = cmp.Or(cfg.Work.DataDir, dataDir(c.Args().First(), s))
	if c.IsSet("repeat") || c.IsSet("slots") {
		return repeat(c, cfg, s, times)
	}
	return runOne(c, cfg, s)
}

// runOne runs the payload once.
func runOne(c *cli.Context, cfg runConfig, s message.Slice) error {
	cfg.Work.Trace = true
	w, err := newWrapper(cfg)
	if err != nil {
		return err
	}
	used, why, err := w.Containment(c.Context)
	if err != nil {
		return err
	}
	inside, _, err := w.Container(c.Context)
	if err != nil {
		return err
	}
	r, err := prepareAndRun(c.Context, w, s)
	// The payload ends in an orderly way also after a signal.
	closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context), 10*time.Second)
	defer cancel()
	closed := w.Close(closing)
	r.Containment, r.ContainmentReason, r.Container = string(used), why, inside
	if serr := show(c, r); serr != nil {
		return errors.Join(serr, closed)
	}
	return errors.Join(program.Quiet(err), closed)
}

// prepareAndRun makes a slot ready and works on the slice there, as a pilot does. The error is that of either.
func prepareAndRun(ctx context.Context, w *wrapper.Wrapper, s message.Slice) (report.Report, error) {
	started, err := w.Prepare(ctx, 0)
	if err == nil {
		o := w.Run(ctx, s)
		return report.New(s, started, o), o.Err
	}
	r := report.NotReady(s, w.Identity(), started, err)
	for _, path := range started.Logs {
		var text bytes.Buffer
		if l, ok := payloadlog.At(path); ok && l.Stream == "err" && l.CopyTo(&text) == nil {
			r.Stderr = text.String()
		}
	}
	return r, err
}

// show writes the report in the format of --output; quiet is the verdict alone.
func show(c *cli.Context, r report.Report) error {
	if c.String("output") == "table" {
		return r.Text(c.App.Writer)
	}
	return program.Print(c, r, program.Table{Rows: [][]string{{r.Verdict}}})
}

// newWrapper puts the payload together.
func newWrapper(cfg runConfig) (*wrapper.Wrapper, error) {
	spec, err := payloadfile.Load(cfg.Payload)
	if err != nil {
		return nil, err
	}
	return wrapperOf(spec, cfg)
}

// wrapperOf makes everything for a payload that has been read: what is missing for it shows here.
func wrapperOf(spec payloadfile.Spec, cfg runConfig) (*wrapper.Wrapper, error) {
	p, err := kinds.New(spec, cfg.PayloadBin)
	if err != nil {
		return nil, err
	}
	simulated, err := kinds.Simulated()
	if err != nil {
		return nil, err
	}
	return wrapper.New(spec, p, simulated, cfg.Work)
}
