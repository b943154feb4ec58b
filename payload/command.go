package payload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

const (
	// resultFile is the name of the result in the slice's folder.
	resultFile = "tfpilot-result.json"
	// maxResult bounds the result document in bytes.
	maxResult = 8 << 20
	// kept of each stream, head and tail each, in bytes.
	kept = 16 << 10
)

// Command runs a process per slice: kind command, version 1 of the contract in docs/payloads.md.
type Command struct {
	spec Spec
	argv []string
}

var _ Payload = (*Command)(nil)

// NewCommand makes the payload of a spec of kind command or tfreco. builtin is the path of tfpilot-payload.
func NewCommand(spec Spec, builtin string) (*Command, error) {
	if spec.Kind == KindTFReco {
		return &Command{spec, []string{builtin, "tfreco"}}, nil
	}
	argv := slices.Clone(spec.Command)
	if strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(spec.Dir, argv[0])
	}
	return &Command{spec, argv}, nil
}

// Close has nothing to end.
func (c *Command) Close(context.Context) error { return nil }

// Run starts the program, waits for it, and reads its result.
func (c *Command) Run(ctx context.Context, r Request) (Result, error) {
	input, err := json.Marshal(r.Slice)
	if err != nil {
		return Result{}, exitcode.New(exitcode.DataInvalid, "encoding the slice: %w", err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(c.spec.Timeout), errTimeout)
	defer cancel()
	stdout, stderr := proc.NewCapture(kept, kept), proc.NewCapture(kept, kept)
	resultPath := filepath.Join(r.Dir, resultFile)
	res, err := proc.Run(limited, proc.Command{
		Path: c.argv[0], Args: c.argv[1:], Dir: r.Dir, Env: c.environment(r, resultPath),
		Stdin: bytes.NewReader(append(input, '\n')), Stdout: stdout, Stderr: stderr, Grace: time.Duration(c.spec.Grace),
	})
	if err != nil {
		return Result{}, err
	}
	usage := Usage{
		User: res.User, System: res.System, MaxRSSBytes: res.MaxRSSBytes, ExitCode: res.ExitCode, Signal: res.Signal,
		LeftBehind: res.LeftBehind, Stdout: stdout.String(), Stderr: stderr.String(),
	}
	if res.Ended && errors.Is(context.Cause(limited), errTimeout) {
		return Result{Usage: usage}, exitcode.New(exitcode.PayloadTimeout, "%s ran longer than its %s", c.spec.Name, time.Duration(c.spec.Timeout))
	}
	if res.Ended {
		return Result{Usage: usage}, exitcode.New(exitcode.Interrupted, "%s was ended: %w", c.spec.Name, context.Cause(ctx))
	}
	if err := c.verdict(res, usage.Stderr); err != nil {
		return Result{Usage: usage}, err
	}
	result, err := c.result(r, resultPath)
	result.Usage = usage
	return result, err
}

var errTimeout = errors.New("the payload's time is over")

// inherited are the only variables that a payload sees of ours.
var inherited = []string{"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}

// environment is scrubbed: a few variables of ours, the payload's own, and the slice.
func (c *Command) environment(r Request, resultPath string) []string {
	var env []string
	for _, key := range inherited {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	env = append(env, "HOME="+r.Dir, "TMPDIR="+r.Dir)
	for key, v := range c.spec.Env {
		env = append(env, key+"="+v)
	}
	s := r.Slice.Content
	return append(env,
		"TFPILOT_RESULT="+resultPath,
		"TFPILOT_INPUT="+r.Input,
		"TFPILOT_FIRST="+strconv.FormatInt(s.Start.Int64(), 10),
		"TFPILOT_LAST="+strconv.FormatInt(s.End.Int64(), 10),
		"TFPILOT_RUN_ID="+r.Slice.Run().String(),
		"TFPILOT_REQ_ID="+s.Identity(),
		"TFPILOT_ATTEMPT="+strconv.Itoa(s.AttemptNumber()),
		"TFPILOT_NAMESPACE="+r.Slice.Namespace,
	)
}

// verdict is the meaning of the program's end: nil for success.
func (c *Command) verdict(res proc.Result, stderr string) error {
	said := lastLine(stderr)
	switch {
	case res.Signal != "":
		return exitcode.New(exitcode.PayloadCrashed, "%s was ended by %s%s", c.spec.Name, res.Signal, said)
	case res.ExitCode == 0:
		return nil
	case res.ExitCode == 2 && strings.Contains(stderr, "go-hep.org/x/hep/"):
		// The ROOT library panics on some damaged files in a goroutine of its own, which nobody can catch there.
		return exitcode.New(exitcode.DataCorrupt, "%s: the ROOT library could not read the input", c.spec.Name)
	}
	f, ok := exitcode.ByCode(res.ExitCode)
	if !ok || (f.Class != exitcode.ClassPayload && f.Class != exitcode.ClassData && f != exitcode.SiteNoSpace) || f == exitcode.SliceFailed {
		f = exitcode.PayloadFailed
	}
	return exitcode.New(f, "%s ended with status %d%s", c.spec.Name, res.ExitCode, said)
}

// lastLine is what the program said last, for the message of a failure.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	if line == "" {
		return ""
	}
	return ": " + line[:min(len(line), 300)]
}

// result reads and checks the result document and its outputs.
func (c *Command) result(r Request, path string) (Result, error) {
	var result Result
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return result, exitcode.New(exitcode.PayloadNoResult, "%s left no result", c.spec.Name)
	}
	if err != nil {
		return result, exitcode.New(exitcode.PayloadBadResult, "%s: reading its result: %w", c.spec.Name, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxResult+1))
	if err == nil && len(b) > maxResult {
		err = fmt.Errorf("larger than %d bytes", maxResult)
	}
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields() // a misspelt key would be a silent loss
		err = dec.Decode(&result)
	}
	if err == nil {
		err = result.check(r)
	}
	if err != nil {
		return Result{}, exitcode.New(exitcode.PayloadBadResult, "%s: its result: %w", c.spec.Name, err)
	}
	return result, nil
}

// check holds a result to the contract and fills in what we measure of its outputs.
func (res *Result) check(r Request) error {
	if res.ReqID != "" && res.ReqID != r.Slice.Content.Identity() {
		return fmt.Errorf("it is of slice %.80q", res.ReqID)
	}
	for key, n := range res.Counts {
		if n < 0 {
			return fmt.Errorf("count %s is negative", key)
		}
	}
	for i := range res.Histograms {
		if err := res.Histograms[i].Validate(); err != nil {
			return fmt.Errorf("histogram %d: %w", i, err)
		}
	}
	for i := range res.Outputs {
		if err := res.Outputs[i].measure(r.Dir); err != nil {
			return fmt.Errorf("output %.80q: %w", res.Outputs[i].Name, err)
		}
	}
	return nil
}

// measure takes size and checksum of a file that must be in dir.
func (o *Output) measure(dir string) error {
	if !filepath.IsLocal(o.Name) {
		return errors.New("not a name in the slice's folder")
	}
	f, err := os.OpenInRoot(dir, o.Name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return errors.New("empty, or no file")
	}
	h := adler32.New()
	if o.SizeBytes, err = io.Copy(h, f); err != nil {
		return err
	}
	o.Adler32 = fmt.Sprintf("%08x", h.Sum32())
	return nil
}
