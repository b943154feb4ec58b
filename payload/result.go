package payload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"unicode"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/payloadfile"
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
	// Failure, when given, makes the slice failed, whatever the exit status; nothing else of the result counts then.
	Failure *Failure `json:"failure,omitempty"`
	// ReqID, when given, must be the slice's: a result of another slice is refused.
	ReqID string `json:"req_id,omitempty"`

	// Details stand in the result message beside what came with the slice, as consumers know them from the production worker.
	Details map[string]any `json:"-"`
	Usage   Usage          `json:"-"`
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

// readResult reads and checks the result document and its outputs.
func readResult(ctx context.Context, path string, spec payloadfile.Spec, r Request) (Result, error) {
	b, err := readDocument(path)
	if err != nil {
		return Result{}, err
	}
	result, err := DecodeResult(b)
	if err != nil {
		return Result{}, err
	}
	return result, result.Settle(ctx, spec, r)
}

// readDocument reads a result. The folder was in the hands of the payload: no link is followed out of it, and nothing that is no
// plain file is opened to wait for somebody.
func readDocument(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoResult
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("no plain file"), err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxResultBytes+1))
	if err == nil && len(b) > maxResultBytes {
		err = fmt.Errorf("larger than %d bytes", maxResultBytes)
	}
	return b, err
}

// DecodeResult reads a result document and holds it to the contract, as far as that can be said without the slice. The JSON
// Schema of the contract is [Schemas]; it accepts whatever is accepted here.
func DecodeResult(b []byte) (result Result, err error) {
	b = bytes.Trim(b, " \t\r\n") // the white space of JSON, and no other
	if len(b) == 0 || b[0] != '{' {
		return result, errors.New("not a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields() // a misspelt key would be a silent loss
	if err := dec.Decode(&result); err != nil {
		return Result{}, inWords(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Result{}, errors.New("more than one JSON document")
	}
	if err := exact(b); err != nil {
		return Result{}, err
	}
	return result, result.check()
}

// check holds a document to the contract.
func (res *Result) check() error {
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
	for i, o := range res.Outputs {
		if err := o.check(); err != nil {
			return fmt.Errorf("output %.80q: %w", o.Name, err)
		}
		if slices.ContainsFunc(res.Outputs[:i], func(other Output) bool { return other.Name == o.Name }) {
			return fmt.Errorf("output %s stands there twice", o.Name)
		}
	}
	for _, w := range res.Warnings {
		if len(w) > maxWarningBytes {
			return fmt.Errorf("a warning of more than %d bytes: %.40q", maxWarningBytes, w)
		}
	}
	if res.Failure != nil {
		if _, err := payloadfile.FailureNamed(res.Failure.Name); err != nil {
			return fmt.Errorf("failure.name: %w", err)
		}
	}
	return nil
}

// Settle holds a result to its slice: that it is of this one, what it says of itself, and its files, whose sizes and checksums
// are filled in.
func (res *Result) Settle(ctx context.Context, spec payloadfile.Spec, r Request) error {
	if res.ReqID != "" && res.ReqID != r.Slice.Content.Identity() {
		return badResult(spec.Name, fmt.Errorf("it is of slice %.80q", res.ReqID))
	}
	if res.Failure != nil {
		return res.Failure.Err(spec.Name)
	}
	return badResult(spec.Name, res.measure(ctx, spec, r.Dir))
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

// badResult says whose fault it is that there is no good result: the payload's, unless err says more.
func badResult(name string, err error) error {
	if exitcode.From(err) != exitcode.Internal { // also none
		return err
	}
	if errors.Is(err, errNoResult) {
		return exitcode.New(exitcode.PayloadNoResult, "%s left no result", name)
	}
	return exitcode.New(exitcode.PayloadBadResult, "%s: its result: %w", name, err)
}
