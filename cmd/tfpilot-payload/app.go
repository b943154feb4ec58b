package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/program"
	"tfpilot/payload/synthetic"
	"tfpilot/payload/tfreco"
)

// app is the whole command line.
func app() *cli.App {
	return &cli.App{
		Name:  "tfpilot-payload",
		Usage: "the built-in payloads, as pilot and wrapper start them",
		Description: "Both take the slice from TFPILOT_* variables and write the result to the file named by TFPILOT_RESULT.\n" +
			"To run one by hand, use `wrapper run`.",
		Commands: []*cli.Command{tfrecoCommand(), syntheticCommand()},
	}
}

func tfrecoCommand() *cli.Command {
	return &cli.Command{
		Name: "tfreco", Usage: "reconstruct tracks and collisions in a range of time frames",
		Description: "Example: TFPILOT_INPUT=x.stf TFPILOT_FIRST=0 TFPILOT_LAST=65 TFPILOT_RESULT=result.json tfpilot-payload tfreco",
		Action: func(c *cli.Context) error {
			if err := program.NoArgs(c); err != nil {
				return err
			}
			if os.Getenv("GOMAXPROCS") == "" {
				runtime.GOMAXPROCS(1) // a slot is one core
			}
			first, err := number("TFPILOT_FIRST")
			if err != nil {
				return err
			}
			last, err := number("TFPILOT_LAST")
			if err != nil {
				return err
			}
			input, err := variable("TFPILOT_INPUT")
			if err != nil {
				return err
			}
			result, err := variable("TFPILOT_RESULT")
			if err != nil {
				return err
			}
			res, err := tfreco.Process(c.Context, input, first, last, filepath.Dir(result))
			if err != nil {
				return err
			}
			res.ReqID = os.Getenv("TFPILOT_REQ_ID")
			b, err := json.Marshal(res)
			if err != nil {
				return err
			}
			return exitcode.Wrap(exitcode.SiteNoSpace, os.WriteFile(result, b, 0o644))
		},
	}
}

func variable(name string) (string, error) {
	v := os.Getenv(name)
	if v == "" {
		return "", exitcode.New(exitcode.Usage, "%s is not set", name)
	}
	return v, nil
}

func number(name string) (int, error) {
	v, err := variable(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, exitcode.New(exitcode.Usage, "%s=%.40q is not a number", name, v)
	}
	return n, nil
}

func syntheticCommand() *cli.Command {
	return &cli.Command{
		Name: "synthetic", Usage: "misbehave as told",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "mode", Value: "noop", Usage: strings.Join(payloadfile.SyntheticModes(), ", ")},
			&cli.DurationFlag{Name: "duration", Usage: "of sleep and burn"},
			&cli.IntFlag{Name: "size-mb", Usage: "what grow takes and print prints"},
			&cli.BoolFlag{Name: "permanent", Usage: "fail for good"},
			&cli.BoolFlag{Name: "serve", Usage: "stay, as a payload of kind resident, and do it for every request"},
		},
		Action: func(c *cli.Context) error {
			script := synthetic.Script{
				Mode: c.String("mode"), Duration: c.Duration("duration"), SizeMB: c.Int("size-mb"), Permanent: c.Bool("permanent"),
			}
			if c.Bool("serve") {
				if os.Getenv("GOMAXPROCS") == "" {
					runtime.GOMAXPROCS(1) // a slot is one core
				}
				return synthetic.Serve(script, os.Stdin, c.App.Writer, c.App.ErrWriter)
			}
			return synthetic.Do(script, c.App.Writer)
		},
	}
}
