package wrapper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/payload"
)

// Config is where and how slices are run.
type Config struct {
	// WorkDir holds a folder for each slice being worked on; the temporary folder when empty.
	WorkDir string `toml:"work_dir" help:"folder for the slices' own folders (default: the temporary folder)"`
	// DataDir is where relative file names of slices are looked up; the current folder when empty. It is no fence: producers
	// send absolute names too, and those are taken as they are. What leads upward is refused by message.Slice.Validate.
	DataDir string `toml:"data_dir" help:"folder in which relative file names of slices are looked up (default: the current folder)"`
	// Keep leaves the folders of slices, for looking at.
	Keep bool `toml:"keep" help:"keep the folders of slices that have been worked on"`
}

// Wrapper runs slices with one payload. Its Run may be called from several goroutines when the payload's may.
type Wrapper struct {
	cfg       Config
	spec      payload.Spec
	payload   payload.Payload
	simulated payload.Payload
}

// New makes a wrapper for a payload; simulated takes the slices whose file_type asks for it.
func New(spec payload.Spec, p, simulated payload.Payload, cfg Config) (*Wrapper, error) {
	config.Defaults(&cfg)
	if cfg.WorkDir == "" {
		cfg.WorkDir = os.TempDir()
	}
	// Both are made absolute here: a payload's current folder is the slice's.
	for _, dir := range []*string{&cfg.WorkDir, &cfg.DataDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		*dir = abs
	}
	if err := os.MkdirAll(cfg.WorkDir, 0o755); err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the work directory: %w", err)
	}
	return &Wrapper{cfg: cfg, spec: spec, payload: p, simulated: simulated}, nil
}

// Outcome is what became of one slice here.
type Outcome struct {
	// Err is nil for success; exitcode.From tells the rest.
	Err            error
	Result         payload.Result
	Payload        message.PayloadIdentity
	Started, Ended time.Time
	// Dir is the slice's folder when it was kept.
	Dir string
}

// Failure is the outcome's error as it stands in a result; nil for success.
func (o Outcome) Failure() *message.Failure {
	if o.Err == nil {
		return nil
	}
	f := exitcode.From(o.Err)
	return &message.Failure{Code: f.Code, Name: f.Name, Class: string(f.Class), Retryable: f.Retryable, Message: o.Err.Error()}
}

// Identity is the payload that the wrapper runs.
func (w *Wrapper) Identity() message.PayloadIdentity {
	return message.PayloadIdentity{Name: w.spec.Name, Version: w.spec.Version}
}

// Run works on one slice. It returns when nothing of the payload is left.
func (w *Wrapper) Run(ctx context.Context, s message.Slice) Outcome {
	o := Outcome{Started: time.Now(), Payload: w.Identity()}
	o.Result, o.Dir, o.Err = w.run(ctx, s, &o)
	o.Ended = time.Now()
	return o
}

func (w *Wrapper) run(ctx context.Context, s message.Slice, o *Outcome) (res payload.Result, kept string, err error) {
	if err := s.Validate(); err != nil {
		return res, "", exitcode.New(exitcode.DataInvalid, "slice %s: %w", s.Content.Identity(), err)
	}
	if s.Content.FileType == "fake" || s.Content.FileType == "mock" {
		o.Payload = message.PayloadIdentity{Name: "synthetic", Version: "1"}
		res, err = w.simulated.Run(ctx, payload.Request{Slice: s})
		return res, "", err
	}
	if w.spec.InProcess() {
		// A timer needs no folder, and making one would take longer than the slice.
		res, err = w.payload.Run(ctx, payload.Request{Slice: s})
		return res, "", err
	}
	dir, err := os.MkdirTemp(w.cfg.WorkDir, "slice-")
	if err != nil {
		return res, "", exitcode.New(exitcode.SiteNoSpace, "making the slice's folder: %w", err)
	}
	if w.cfg.Keep {
		kept = dir
	} else {
		defer removeAll(dir)
	}
	input := s.Content.Filename
	if !filepath.IsAbs(input) {
		input = filepath.Join(w.cfg.DataDir, input)
	}
	res, err = w.payload.Run(ctx, payload.Request{Slice: s, Input: input, Dir: dir})
	return res, kept, err
}

// removeAll removes a slice's folder even when the payload took away its own rights. What cannot be removed is no reason to
// fail the slice.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}

// Close ends the payload.
func (w *Wrapper) Close(ctx context.Context) error {
	if err := w.payload.Close(ctx); err != nil {
		return fmt.Errorf("closing payload %s: %w", w.spec.Name, err)
	}
	return nil
}
