package payload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
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
		return &Command{spec, []string{builtin, "tfreco"}}, startable(spec, builtin)
	}
	if len(spec.Command) == 0 {
		return nil, exitcode.New(exitcode.Usage, "payload %s of kind %s has no command", spec.Name, spec.Kind)
	}
	argv := slices.Clone(spec.Command)
	if strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(spec.Dir, argv[0])
	}
	return &Command{spec, argv}, startable(spec, argv[0])
}

func startable(spec Spec, program string) error {
	if spec.lookedUpInside(program) {
		return nil
	}
	if _, err := exec.LookPath(program); errors.Is(err, fs.ErrPermission) {
		return exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w: is it executable (chmod +x)?", err)
	} else if err != nil {
		return exitcode.New(exitcode.SiteNoProgram, "looking for the payload's program: %w", err)
	}
	return nil
}

// Prepare has nothing to prepare.
func (c *Command) Prepare(context.Context, Slot) (Startup, error) { return Startup{}, nil }

// Close has nothing to end.
func (c *Command) Close(context.Context) error { return nil }

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
	stdout, stderr := proc.NewCapture(kept, kept), proc.NewCapture(kept, kept)
	res, err := r.Run(ctx, proc.Command{
		Path: c.argv[0], Args: args, Dir: r.Dir, Env: environment(c.spec, r, vars),
		Stdin: bytes.NewReader(append(input, '\n')), Stdout: stdout, Stderr: stderr, Grace: c.spec.Grace,
	}, c.limits(r.Dir))
	if err != nil {
		return Result{}, err
	}
	usage := Usage{
		Wall: res.Wall, User: res.User, System: res.System, PeakBytes: res.PeakBytes, MaxRSSBytes: res.MaxRSSBytes,
		ReadBytes: res.ReadBytes, WrittenBytes: res.WrittenBytes, Processes: res.Processes, ExitCode: res.ExitCode, Signal: res.Signal, LeftBehind: res.LeftBehind, Stdout: stdout.String(), Stderr: stderr.String(),
	}
	result, err := c.outcome(ctx, r, res, usage.Stderr, resultPath)
	result.Usage = usage
	return result, err
}

// errTimeout is the cause of the context's end when the payload's own time is over.
var errTimeout = errors.New("the payload's time is over")

// outcome is what the end of the program and its result mean. What we ended has no result, whatever it left.
func (c *Command) outcome(ctx context.Context, r Request, res keeper.Result, stderr, resultPath string) (Result, error) {
	if err := c.verdict(res, stderr); err != nil {
		if res.Stopped == nil && !res.OutOfMemory && res.ExitCode > 0 && res.ExitCode != killedStatus {
			return Result{}, c.stated(resultPath, r, err)
		}
		return Result{}, err
	}
	// Measuring what the program left is in its time.
	limited, cancel := context.WithTimeoutCause(ctx, max(0, c.spec.Timeout-res.Ran), errTimeout)
	defer cancel()
	result, err := readResult(limited, resultPath, c.spec, r)
	switch {
	case err == nil:
		return result, nil
	case limited.Err() != nil && errors.Is(context.Cause(limited), errTimeout):
		return Result{}, c.spec.Stopped(keeper.ErrTime, res.PeakBytes)
	case limited.Err() != nil:
		return Result{}, c.spec.Stopped(context.Cause(ctx), res.PeakBytes)
	}
	if line, ok := c.spec.Failures.Printed(stderr); ok && errors.Is(err, errNoResult) {
		return Result{}, exitcode.New(line, "%s left no result%s", c.spec.Name, lastWords(stderr))
	}
	return Result{}, badResult(c.spec.Name, err)
}

// stated is the failure that a program which ended with a status gives in its result; err, the meaning of the status, when it
// gives none. Nothing else is expected of such a result: the program may have ended while it wrote.
func (c *Command) stated(resultPath string, r Request, err error) error {
	b, rerr := readDocument(resultPath)
	if rerr != nil {
		return err
	}
	var said struct {
		Failure *Failure `json:"failure"`
		ReqID   string   `json:"req_id"`
	}
	if json.Unmarshal(b, &said) != nil || said.Failure == nil || (said.ReqID != "" && said.ReqID != r.Slice.Content.Identity()) {
		return err
	}
	if _, unknown := failureNamed(said.Failure.Name); unknown != nil {
		return fmt.Errorf("%w; failure.name in its result: %w", err, unknown)
	}
	return said.Failure.Err(c.spec.Name)
}

// lastWords is what the program said of its end: its last line, or the first of a Go panic, which is followed by many.
func lastWords(text string) string {
	const most = 300
	text = strings.TrimSpace(text)
	line := text[strings.LastIndexByte(text, '\n')+1:]
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") || strings.HasPrefix(l, "SIG") {
			line = l
			break
		}
	}
	if line = clean(line, most); line == "" {
		return ""
	}
	return ": " + line
}

// clean makes a program's words one line of at most so many bytes, which steers no terminal.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(strings.ToValidUTF8(text, "?")))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
