package payload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadfile"
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
	program Program
	argv    []string
}

var _ Payload = (*Command)(nil)

// NewCommand makes the payload of a spec of kind command or tfreco. builtin is the path of tfpilot-payload. A program that is
// not there, or not executable, is [exitcode.SiteNoProgram] now, before a slice has been taken for it.
func NewCommand(spec payloadfile.Spec, builtin string) (*Command, error) {
	p := Program{spec}
	if spec.Kind == payloadfile.KindTFReco {
		return &Command{p, []string{builtin, "tfreco"}}, p.startable(builtin)
	}
	argv, err := p.argv()
	return &Command{p, argv}, err
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
	vars := c.program.SliceVariables(r.Slice, r.Slot.Number, r.Input, resultPath)
	if err := checkVariables(vars); err != nil {
		return Result{}, err
	}
	args := make([]string, len(c.argv)-1)
	for i, arg := range c.argv[1:] {
		args[i] = vars.Expand(arg)
	}
	stdout, stderr := proc.NewCapture(kept, kept), proc.NewCapture(kept, kept)
	res, err := r.Run(ctx, proc.Command{
		Path: c.argv[0], Args: args, Dir: r.Dir, Env: c.program.environment(r, vars),
		Stdin: bytes.NewReader(append(input, '\n')), Stdout: stdout, Stderr: stderr, Grace: c.program.Grace,
	}, c.program.limits(r.Dir))
	if err != nil {
		return Result{}, err
	}
	usage := UsageOf(res, stdout, stderr)
	result, err := c.outcome(ctx, r, res, usage.Stderr, resultPath)
	result.Usage = usage
	return result, err
}

// errTimeout is the cause of the context's end when the payload's own time is over.
var errTimeout = errors.New("the payload's time is over")

// outcome is what the end of the program and its result mean. What we ended has no result, whatever it left.
func (c *Command) outcome(ctx context.Context, r Request, res keeper.Result, stderr, resultPath string) (Result, error) {
	if err := c.program.Verdict(res, stderr); err != nil {
		if res.Stopped == nil && !res.OutOfMemory && res.ExitCode > 0 && res.ExitCode != killedStatus {
			return Result{}, c.stated(resultPath, r, err)
		}
		return Result{}, err
	}
	// Measuring what the program left is in its time.
	limited, cancel := context.WithTimeoutCause(ctx, max(0, c.program.Timeout-res.Ran), errTimeout)
	defer cancel()
	result, err := readResult(limited, resultPath, c.program.Spec, r)
	switch {
	case err == nil:
		return result, nil
	case limited.Err() != nil && errors.Is(context.Cause(limited), errTimeout):
		return Result{}, c.program.Stopped(keeper.ErrTime, res.PeakBytes)
	case limited.Err() != nil:
		return Result{}, c.program.Stopped(context.Cause(ctx), res.PeakBytes)
	}
	if line, ok := c.program.Failures.Printed(stderr); ok && errors.Is(err, errNoResult) {
		return Result{}, exitcode.New(line, "%s left no result%s", c.program.Name, LastWords(stderr))
	}
	return Result{}, badResult(c.program.Name, err)
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
	if _, unknown := payloadfile.FailureNamed(said.Failure.Name); unknown != nil {
		return fmt.Errorf("%w; failure.name in its result: %w", err, unknown)
	}
	return said.Failure.Err(c.program.Name)
}
