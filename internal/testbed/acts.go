package testbed

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
	"tfpilot/internal/program"
)

// actsName is the payload that the demo also makes ready: it lies in the source tree, and comes with its own data.
const actsName = "acts"

// actsEvents are simulated in some seconds, and replayed again and again in a long demo; eventsPerFrame is what daq replays in a
// time frame.
const (
	actsEvents     = 2000
	eventsPerFrame = 45
)

// acts is payload/acts in the source tree.
type acts struct{ dir string }

// findACTS looks for it beside the folder of the programs.
func findACTS(bin string) (acts, error) {
	dir, err := filepath.Abs(filepath.Join(bin, "..", "payload", actsName))
	if err != nil {
		return acts{}, exitcode.Wrap(exitcode.Usage, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "acts.toml")); err != nil {
		return acts{}, exitcode.WithNext(exitcode.New(exitcode.SiteNoProgram, "the payload acts is no program, and its folder %s is not there", dir),
			"start bin/testbed in a source tree, or name the TOML file of a copy and --replay a file of its events")
	}
	return acts{dir}, nil
}

func (a acts) spec() string { return filepath.Join(a.dir, "acts.toml") }

// install makes its Python environment, which takes a while the first time.
func (a acts) install(ctx context.Context, show *program.Progress) error {
	if _, err := os.Stat(filepath.Join(a.dir, "venv", "bin", "python")); err != nil {
		show.Note(time.Now(), "installing the Python packages of payload acts, 200 MB; once")
	}
	return tool(ctx, exitcode.SiteNoProgram, "installing payload acts", filepath.Join(a.dir, "install"))
}

// simulate makes events to be replayed in a number of frames.
func (a acts) simulate(ctx context.Context, file string, frames int, seed uint64, show *program.Progress) error {
	events := min(actsEvents, frames*eventsPerFrame)
	show.Note(time.Now(), "simulating %d events", events)
	return tool(ctx, exitcode.SiteNoProgram, "simulating events", filepath.Join(a.dir, "venv", "bin", "python"), filepath.Join(a.dir, "simulate.py"), file,
		"--events", strconv.Itoa(events), "--seed", strconv.FormatUint(seed, 10))
}

// tool runs a program that is not ours to its end. Its last line is why it failed.
func tool(ctx context.Context, f exitcode.Failure, action, path string, args ...string) error {
	const kept = 8 << 10
	said := proc.NewCapture(0, kept)
	res, err := proc.Run(ctx, proc.Command{Path: path, Args: args, Dir: ".", Env: os.Environ(), Stdout: said, Stderr: said, Grace: time.Second})
	switch {
	case err != nil:
		return exitcode.Wrap(f, err)
	case res.Ended:
		return context.Cause(ctx)
	case res.ExitCode != 0:
		text := strings.TrimSpace(said.String())
		return exitcode.WithNext(exitcode.New(f, "%s: status %d: %s", action, res.ExitCode, text[strings.LastIndexByte(text, '\n')+1:]),
			"`"+strings.Join(append([]string{path}, args...), " ")+"` shows all of it")
	}
	return nil
}
