package payload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// resultFile is the name of the result in the slice's folder.
	resultFile = "tfpilot-result.json"
	// kept of each stream, head and tail each, in bytes.
	kept = 16 << 10
)

// Command runs a process per slice: kind command, version 1 of the contract in docs/payloads.md. It may be called from
// several goroutines.
type Command struct {
	spec Spec
	argv []string
}

var _ Payload = (*Command)(nil)

// NewCommand makes the payload of a spec of kind command or tfreco. builtin is the path of tfpilot-payload. A program that is
// not there, or not executable, is [exitcode.SiteNoProgram] now, before a slice has been taken for it.
func NewCommand(spec Spec, builtin string) (*Command, error) {
	if spec.Kind == KindTFReco {
		return &Command{spec, []string{builtin, "tfreco"}}, startable(builtin)
	}
	if len(spec.Command) == 0 {
		return nil, exitcode.New(exitcode.Usage, "payload %s of kind %s has no command", spec.Name, spec.Kind)
	}
	argv := slices.Clone(spec.Command)
	if strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(spec.Dir, argv[0])
	}
	return &Command{spec, argv}, startable(argv[0])
}

func startable(program string) error {
	if _, err := exec.LookPath(program); err != nil {
		return exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w", err)
	}
	return nil
}

// Close has nothing to end.
func (c *Command) Close(context.Context) error { return nil }

// errTimeout is the cause of the context's end when the payload's own time is over.
var errTimeout = errors.New("the payload's time is over")

// Run starts the program, waits for it, and reads its result.
func (c *Command) Run(ctx context.Context, r Request) (Result, error) {
	input, err := json.Marshal(r.Slice)
	if err != nil {
		return Result{}, exitcode.New(exitcode.DataInvalid, "encoding the slice: %w", err)
	}
	resultPath := filepath.Join(r.Dir, resultFile)
	vars := variables(c.spec, r, resultPath)
	if err := checkVariables(vars); err != nil {
		return Result{}, err
	}
	args := make([]string, len(c.argv)-1)
	for i, arg := range c.argv[1:] {
		args[i] = expand(arg, vars)
	}
	limited, cancel := withPatience(ctx, c.spec.Timeout, errTimeout)
	defer cancel()
	stdout, stderr := proc.NewCapture(kept, kept), proc.NewCapture(kept, kept)
	res, err := proc.Run(limited, proc.Command{
		Path: c.argv[0], Args: args, Dir: r.Dir, Env: environment(c.spec, r, vars),
		Stdin: bytes.NewReader(append(input, '\n')), Stdout: stdout, Stderr: stderr,
		Grace: c.spec.Grace, DiesWithParent: true,
	})
	if err != nil {
		return Result{}, err
	}
	usage := Usage{
		Wall: res.Wall, User: res.User, System: res.System, MaxRSSBytes: res.MaxRSSBytes, ExitCode: res.ExitCode,
		Signal: res.Signal, LeftBehind: res.LeftBehind, Stdout: stdout.String(), Stderr: stderr.String(),
	}
	result, err := c.outcome(ctx, limited, r, res, usage.Stderr, resultPath)
	result.Usage = usage
	return result, err
}

// outcome is what the end of the program and its result mean. What we ended has no result, whatever it left.
func (c *Command) outcome(ctx, limited context.Context, r Request, res proc.Result, stderr, resultPath string) (Result, error) {
	if res.Ended {
		return Result{}, c.ended(ctx, limited)
	}
	if err := c.verdict(res, stderr); err != nil {
		return Result{}, err
	}
	result, err := readResult(limited, resultPath, r)
	switch {
	case err == nil:
		return result, nil
	case limited.Err() != nil:
		return Result{}, c.ended(ctx, limited)
	default:
		return Result{}, badResult(c.spec.Name, err)
	}
}

// ended says why we ended it: its own time was over, or that of the slot.
func (c *Command) ended(ctx, limited context.Context) error {
	if errors.Is(context.Cause(limited), errTimeout) {
		return exitcode.New(exitcode.PayloadTimeout, "%s ran longer than its %s", c.spec.Name, c.spec.Timeout)
	}
	return exitcode.New(exitcode.Interrupted, "%s was ended: %w", c.spec.Name, context.Cause(ctx))
}

// verdict is the meaning of the program's end: nil for success.
func (c *Command) verdict(res proc.Result, stderr string) error {
	switch {
	case res.Signal != "":
		return exitcode.New(exitcode.PayloadCrashed, "%s was ended by a signal, %s%s", c.spec.Name, res.Signal, lastWords(stderr))
	case res.ExitCode == 0:
		return nil
	case res.ExitCode == 2 && strings.Contains(stderr, "go-hep.org/x/hep/"):
		// The ROOT library panics on some damaged files in a goroutine of its own, which nobody can catch there.
		return exitcode.New(exitcode.DataCorrupt, "%s: the ROOT library could not read the input", c.spec.Name)
	}
	return exitcode.New(meaning(res.ExitCode), "%s ended with status %d%s", c.spec.Name, res.ExitCode, lastWords(stderr))
}

// meaning is the failure of an exit status: what a payload may say of itself and its data, of the disk, and else a failure
// that it did not explain. Everything else in the table is not for a payload to say.
func meaning(status int) exitcode.Failure {
	f, ok := exitcode.ByCode(status)
	switch {
	case !ok || f == exitcode.SliceFailed: // 2 is what half of all programs end with
		return exitcode.PayloadFailed
	case f.Class == exitcode.ClassPayload, f.Class == exitcode.ClassData, f == exitcode.SiteNoSpace:
		return f
	default:
		return exitcode.PayloadFailed
	}
}

// lastWords is what the program said of its end: its last line, or the first of a Go panic, which is followed by many.
func lastWords(text string) string {
	const most = 300
	text = strings.ToValidUTF8(strings.TrimSpace(text), "?")
	line := text[strings.LastIndexByte(text, '\n')+1:]
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") || strings.HasPrefix(l, "SIG") {
			line = l
			break
		}
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(line))
	if line == "" {
		return ""
	}
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "..."
	}
	return ": " + line
}
