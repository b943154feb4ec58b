package payload

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
)

// What kinds whose programs stay share with kind command: the same program, environment, limits and verdicts.

// stayingVariables describe a slot to a program that stays in it.
func stayingVariables(spec Spec, s Slot) []variable {
	return []variable{
		{"TFPILOT_CONTRACT", contract},
		{"TFPILOT_PAYLOAD_DIR", spec.Dir},
		{"TFPILOT_SLOT", strconv.Itoa(s.Number)},
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

// Program is the program of a spec and its arguments, which are those of a slot. A program that is not there, or not executable, is
// [exitcode.SiteNoProgram].
func (s Spec) Program(slot Slot) (argv []string, err error) {
	if len(s.Command) == 0 {
		return nil, exitcode.New(exitcode.Usage, "payload %s of kind %s has no command", s.Name, s.Kind)
	}
	argv = slices.Clone(s.Command)
	if strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(s.Dir, argv[0])
	}
	vars := stayingVariables(s, slot)
	for i, arg := range argv[1:] {
		argv[i+1] = expand(arg, vars)
	}
	return argv, startable(s, argv[0])
}

// Environment is that of a program that stays in a slot, with a folder of its own as HOME.
func (s Spec) Environment(slot Slot, home string) []string {
	return environment(s, Request{Dir: home, Slot: slot}, stayingVariables(s, slot))
}

// Verdict is the meaning of a program's end: nil for success. stderr is what it printed.
func (s Spec) Verdict(res keeper.Result, stderr string) error {
	return (&Command{spec: s}).verdict(res, stderr)
}

// StatusError is the failure that a payload says of a slice by an exit status, with its last words.
func (s Spec) StatusError(status int, words string) error {
	return exitcode.New(s.Failures.meaning(status, words), "%s said status %d%s", s.Name, status, lastWords(words))
}

// LastWords is what a program said of its end, ready to be put behind a sentence.
func LastWords(stderr string) string { return lastWords(stderr) }

// Result is a result as a payload has given it, held to the contract, within a time.
func (s Spec) Result(ctx context.Context, text []byte, r Request, within time.Duration) (Result, error) {
	limited, cancel := context.WithTimeoutCause(ctx, max(0, within), errTimeout)
	defer cancel()
	result, err := DecodeResult(text)
	if err == nil {
		err = result.Settle(limited, s, r)
	}
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return Result{}, s.Stopped(context.Cause(ctx), 0)
	case limited.Err() != nil:
		return Result{}, s.Stopped(keeper.ErrTime, 0)
	default:
		return Result{}, badResult(s.Name, err)
	}
}
