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
	"syscall"
	"unicode"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
)

// Result is what a payload made of a slice: the document that a command writes to the file named by TFPILOT_RESULT, and
// what was measured while it ran.
type Result struct {
	// Counts add up over slices: events, tracks, hits, frames and whatever else the payload counts.
	Counts map[string]int64 `json:"counts,omitempty"`
	// Histograms are merged over slices by name.
	Histograms hist.Set `json:"histograms,omitempty"`
	// Outputs are files that the payload wrote into its folder.
	Outputs  []Output `json:"outputs,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// ReqID, when given, must be the slice's: a result of another slice is refused.
	ReqID string `json:"req_id,omitempty"`

	Usage Usage `json:"-"`
}

// Output is one file, by its name in the folder; size (bytes) and checksum are filled in by us.
type Output struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`
}

// Limits of a result: a result travels as one message and is kept by every consumer.
const (
	maxResultBytes  = 8 << 20
	maxCounts       = 256
	maxHistograms   = 256
	maxOutputs      = 256
	maxWarnings     = 100
	maxNameBytes    = 128
	maxWarningBytes = 1000
)

// errNoResult says that there is no file at all.
var errNoResult = errors.New("no result")

// readResult reads and checks the result document and its outputs. The folder was in the hands of the payload: nothing in it
// is followed out of it, and nothing that is no plain file is opened to wait for somebody.
func readResult(ctx context.Context, path string, r Request) (Result, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Result{}, errNoResult
	}
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return Result{}, errors.Join(errors.New("no plain file"), err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxResultBytes+1))
	if err != nil {
		return Result{}, err
	}
	if len(b) > maxResultBytes {
		return Result{}, fmt.Errorf("larger than %d bytes", maxResultBytes)
	}
	result, err := decodeResult(b)
	if err != nil {
		return Result{}, err
	}
	return result, result.check(ctx, r)
}

func decodeResult(b []byte) (result Result, err error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return result, errors.New("not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields() // a misspelt key would be a silent loss
	if err := dec.Decode(&result); err != nil {
		return Result{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Result{}, errors.New("more than one JSON document")
	}
	return result, nil
}

// check holds a result to the contract and fills in what we measure of its outputs.
func (res *Result) check(ctx context.Context, r Request) error {
	if res.ReqID != "" && res.ReqID != r.Slice.Content.Identity() {
		return fmt.Errorf("it is of slice %.80q", res.ReqID)
	}
	for _, c := range []struct {
		what   string
		n, max int
	}{
		{"counts", len(res.Counts), maxCounts},
		{"histograms", len(res.Histograms), maxHistograms},
		{"outputs", len(res.Outputs), maxOutputs},
		{"warnings", len(res.Warnings), maxWarnings},
	} {
		if c.n > c.max {
			return fmt.Errorf("%d %s, more than %d", c.n, c.what, c.max)
		}
	}
	for key, n := range res.Counts {
		if !isName(key) {
			return fmt.Errorf("count %.40q: not a name", key)
		}
		if n < 0 {
			return fmt.Errorf("count %s is negative", key)
		}
	}
	for i := range res.Histograms {
		h := &res.Histograms[i]
		if err := h.Validate(); err != nil {
			return err
		}
		if !isName(h.Name) {
			return fmt.Errorf("histogram %.40q: not a name", h.Name)
		}
		if res.Histograms[:i].Find(h.Name) != nil {
			return fmt.Errorf("histogram %s stands there twice", h.Name)
		}
	}
	for _, w := range res.Warnings {
		if len(w) > maxWarningBytes {
			return fmt.Errorf("a warning of more than %d bytes: %.40q", maxWarningBytes, w)
		}
	}
	return res.measure(ctx, r.Dir)
}

// isName holds for what can be a heading: short and printable.
func isName(s string) bool {
	if s == "" || len(s) > maxNameBytes {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// measure takes size and checksum of the outputs, which must be files in dir.
func (res *Result) measure(ctx context.Context, dir string) error {
	if len(res.Outputs) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for i := range res.Outputs {
		if err := res.Outputs[i].measure(ctx, root); err != nil {
			return fmt.Errorf("output %.80q: %w", res.Outputs[i].Name, err)
		}
	}
	return nil
}

func (o *Output) measure(ctx context.Context, root *os.Root) error {
	if !filepath.IsLocal(o.Name) || !isName(o.Name) {
		return errors.New("not a name in the slice's folder")
	}
	// A Root follows no link out of its folder.
	f, err := root.OpenFile(o.Name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return errors.New("empty, or no plain file")
	}
	h := adler32.New()
	if o.SizeBytes, err = io.Copy(h, limitedReader{ctx, f}); err != nil {
		return err
	}
	o.Adler32 = fmt.Sprintf("%08x", h.Sum32())
	return nil
}

// limitedReader ends with a context: a file with holes can be larger than any disk, and the slice's time goes on.
type limitedReader struct {
	ctx context.Context // that of one call
	io.Reader
}

func (r limitedReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// badResult says whose fault an unreadable result is: always the payload's.
func badResult(name string, err error) error {
	if errors.Is(err, errNoResult) {
		return exitcode.New(exitcode.PayloadNoResult, "%s left no result", name)
	}
	return exitcode.New(exitcode.PayloadBadResult, "%s: its result: %w", name, err)
}
