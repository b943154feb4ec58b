package payload

import (
	"context"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

// Output is one file, by its name in the folder; size (bytes) and checksum are filled in by us.
type Output struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes,omitempty"`
	Adler32   string `json:"adler32,omitempty"`
}

// check says whether the name can be that of a file in the slice's folder. It is looked at once more when the file is opened.
func (o Output) check() error {
	if !isName(o.Name) || path.IsAbs(o.Name) || slices.Contains(strings.Split(o.Name, "/"), "..") {
		return errors.New("not a name in the slice's folder")
	}
	return nil
}

// measure finds the outputs that the rules ask for, and takes size and checksum of all, which must be files in dir.
func (res *Result) measure(ctx context.Context, spec payloadfile.Spec, dir string) error {
	rules := spec.Output
	if len(res.Outputs) == 0 && len(rules.Files) == 0 && len(rules.Required) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := res.collect(rules, root); err != nil {
		return err
	}
	if err := res.fits(spec, root); err != nil {
		return err
	}
	for i := range res.Outputs {
		if err := res.Outputs[i].measure(ctx, root); err != nil {
			return fmt.Errorf("output %.80q: %w", res.Outputs[i].Name, err)
		}
	}
	return nil
}

// fits holds the outputs together to their limit, before a byte of them is read.
func (res *Result) fits(spec payloadfile.Spec, root *os.Root) error {
	if spec.Limits.OutputMB == 0 {
		return nil
	}
	var sum int64
	for _, o := range res.Outputs {
		if info, err := root.Stat(o.Name); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	if sum > int64(spec.Limits.OutputMB)*megabyte {
		return exitcode.New(exitcode.PayloadLimit, "%s: too much output: %s in its output files", spec.Name, ofLimit(sum, spec.Limits.OutputMB))
	}
	return nil
}

func (o *Output) measure(ctx context.Context, root *os.Root) error {
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

// collect adds the files that the rules name and the result does not, and misses those that are required.
func (res *Result) collect(rules payloadfile.OutputRules, root *os.Root) error {
	for _, pattern := range rules.Files {
		names, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			info, err := root.Stat(name)
			if err != nil || info.IsDir() || name == resultFile || res.lists(name) {
				continue
			}
			res.Outputs = append(res.Outputs, Output{Name: name})
		}
	}
	if len(res.Outputs) > maxOutputs {
		return fmt.Errorf("%d outputs, more than %d", len(res.Outputs), maxOutputs)
	}
	for _, o := range res.Outputs {
		if err := o.check(); err != nil {
			return fmt.Errorf("output %.80q: %w", o.Name, err)
		}
	}
	for _, pattern := range rules.Required {
		if !slices.ContainsFunc(res.Outputs, func(o Output) bool { return matches(pattern, o.Name) }) {
			return exitcode.New(exitcode.PayloadNoResult, "it left no output %q, which its TOML requires", pattern)
		}
	}
	return nil
}

func (res *Result) lists(name string) bool {
	return slices.ContainsFunc(res.Outputs, func(o Output) bool { return path.Clean(o.Name) == name })
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, path.Clean(name))
	return ok && err == nil
}
