package payload

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadfile"
)

// Program is the program of a payload as its spec has it: what it is started with, what it may take, and what its end and its result
// mean. The kinds that run one share it.
type Program struct{ payloadfile.Spec }

// CommandLine is the program of a slot and its arguments. A program that is not there, or not executable, is
// [exitcode.SiteNoProgram].
func (p Program) CommandLine(slot Slot) (argv []string, err error) {
	argv, err = p.argv()
	vars := p.SlotVariables(slot.Number)
	for i := 1; i < len(argv); i++ {
		argv[i] = vars.Expand(argv[i])
	}
	return argv, err
}

// argv is the command of the spec, before anything is put into its arguments.
func (p Program) argv() ([]string, error) {
	if len(p.Command) == 0 {
		return nil, exitcode.New(exitcode.Usage, "payload %s of kind %s has no command", p.Name, p.Kind)
	}
	argv := slices.Clone(p.Command)
	if strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(p.Dir, argv[0])
	}
	return argv, p.startable(argv[0])
}

func (p Program) startable(path string) error {
	if p.lookedUpInside(path) {
		return nil
	}
	if _, err := exec.LookPath(path); errors.Is(err, fs.ErrPermission) {
		return exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w: is it executable (chmod +x)?", err)
	} else if err != nil {
		return exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w", err)
	}
	return nil
}

// lookedUpInside says that a program is the image's, and not on this node. What is in the folder of the TOML file is on both sides.
func (p Program) lookedUpInside(path string) bool {
	return p.Container != nil && p.Kind != payloadfile.KindTFReco && (p.Dir == "" || !strings.HasPrefix(path, filepath.Clean(p.Dir)+"/"))
}

// Environment is that of a program that stays in a slot, with a folder of its own as HOME.
func (p Program) Environment(slot Slot, home string) []string {
	return p.environment(Request{Dir: home, Slot: slot}, p.SlotVariables(slot.Number))
}

// limits are those of a program that works on one slice; memory is the keepers' own.
func (p Program) limits(dir string) keeper.Limits {
	meter := &keeper.Meter{}
	return keeper.Limits{Time: p.Timeout, Meter: meter, Check: p.Guard(dir, meter).Check}
}

// Result is a result as a payload has given it, held to the contract, within a time.
func (p Program) Result(ctx context.Context, text []byte, r Request, within time.Duration) (Result, error) {
	limited, cancel := context.WithTimeoutCause(ctx, max(0, within), errTimeout)
	defer cancel()
	result, err := DecodeResult(text)
	if err == nil {
		err = result.Settle(limited, p.Spec, r)
	}
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return Result{}, p.Stopped(context.Cause(ctx), 0)
	case limited.Err() != nil:
		return Result{}, p.Stopped(keeper.ErrTime, 0)
	default:
		return Result{}, badResult(p.Name, err)
	}
}

// Rest is how long to wait before a program that stays is started again that has failed so many times without a slice done since. Once
// may be chance.
func Rest(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	return min(time.Second<<min(failures-2, 10), time.Minute)
}
