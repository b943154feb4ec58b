package wrapper

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/stageout"
	"tfpilot/payload"
)

// OutputConfig is where the outputs of slices are kept.
type OutputConfig struct {
	// To is where those of slices go that name no place (dest_path). Nowhere when empty: they are measured and removed.
	To string `toml:"output_to" help:"folder or URL (root://, roots://, https://) under which outputs are kept, in one folder for each run (default: they are measured and removed)"`
	// Roots are a fence: a message must not be able to have files written anywhere.
	Roots []string `toml:"dest_root" help:"folders or URLs within which slices may have their outputs put, by dest_path; / for anywhere (default: no slice may name a place)"`
	// Replace is for making a run anew: within a run a file is the result of the first attempt that was done.
	Replace bool `toml:"output_replace" help:"write over outputs that are there already, instead of keeping them"`
	// TokenFile is read when it is needed. It is another token than that for idds. Authorities and xrdcp are those of inputs.
	TokenFile string        `toml:"output_token_file" help:"file with the bearer token for https:// and roots:// outputs (default: BEARER_TOKEN_FILE)"`
	Timeout   time.Duration `toml:"output_timeout" default:"10m" help:"time for putting the outputs of a slice to their place, with all tries"`
}

// outputs puts what payloads leave to its place.
type outputs struct {
	to     stageout.Place
	roots  []stageout.Place
	rules  payloadfile.OutputRules
	client *stageout.Client
	cfg    stageout.Config
}

func newOutputs(cfg Config, spec payloadfile.Spec) (outputs, error) {
	c := cfg.Output
	o := outputs{rules: spec.Output, cfg: stageout.Config{Timeout: c.Timeout, Replace: c.Replace}}
	access := stageout.Access{
		TokenFile: cmp.Or(c.TokenFile, os.Getenv("BEARER_TOKEN_FILE")), CADir: cmp.Or(cfg.Input.CADir, os.Getenv("X509_CERT_DIR")), Program: cfg.Input.Xrdcp,
	}
	for _, path := range []*string{&access.TokenFile, &access.CADir} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return o, exitcode.Wrap(exitcode.BadConfig, err)
		}
		*path = abs
	}
	var err error
	if o.client, err = stageout.NewClient(access); err != nil {
		return o, fmt.Errorf("--input-ca-dir (X509_CERT_DIR): %w", err)
	}
	if c.To != "" {
		if o.to, err = o.place("--output-to", c.To); err != nil {
			return o, err
		}
	}
	for _, text := range c.Roots {
		root, err := o.place("--dest-root", text)
		if err != nil {
			return o, err
		}
		o.roots = append(o.roots, root)
	}
	return o, nil
}

// place reads an option; a folder may be relative there.
func (o outputs) place(option, text string) (stageout.Place, error) {
	if !strings.Contains(text, "://") {
		abs, err := filepath.Abs(text)
		if err != nil {
			return stageout.Place{}, exitcode.Wrap(exitcode.BadConfig, err)
		}
		text = abs
	}
	p, err := stageout.ParsePlace(text)
	if err == nil {
		err = o.client.Check(p)
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", option, err)
	}
	return p, nil
}

// destination is where the outputs of one slice go; the zero value is nowhere.
type destination struct {
	at    stageout.Place
	store stageout.Store
}

// of is where the outputs of a slice are to go. It is asked before anything is run, for a slice that asks for what it may not have.
func (o outputs) of(s message.Slice) (destination, error) {
	base, at := o.to, o.to
	if dest := s.Content.DestPath; dest != "" {
		var err error
		if at, err = stageout.ParsePlace(dest); err != nil {
			return destination{}, exitcode.New(exitcode.DataInvalid, "dest_path: %w", err)
		}
		if base = o.root(at); base.IsZero() {
			return destination{}, exitcode.WithNext(
				exitcode.New(exitcode.DataInvalid, "dest_path %s is within no place of --dest-root%s", at, list(o.roots)),
				"give the pilot the places within which slices may have their outputs put, by --dest-root; or have the producer leave dest_path out")
		}
	}
	if at.IsZero() {
		return destination{}, nil
	}
	if _, err := o.rules.FileName(s, "x"); err != nil {
		return destination{}, err
	}
	at = at.Join(payloadfile.Portable(s.Run().String()))
	store, err := o.client.Store(base, at)
	return destination{at, store}, err
}

// root is the folder of the fence that a place lies in.
func (o outputs) root(at stageout.Place) stageout.Place {
	for _, root := range o.roots {
		if at.Within(root) {
			return root
		}
	}
	return stageout.Place{}
}

func list(places []stageout.Place) string {
	var names []string
	for _, p := range places {
		names = append(names, p.String())
	}
	if len(names) == 0 {
		return ", of which there is none"
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// Delivery is what became of the outputs of a slice.
type Delivery struct {
	// Files are those of the result, in its order, where they are kept now; nil when they are not.
	Files []message.OutputFile
	// Took is part of the slice's time, and not of its payload's.
	Took time.Duration
}

// deliver puts the outputs in a slice's folder to their place. Only then is the slice done.
func (o outputs) deliver(ctx context.Context, to destination, s message.Slice, dir string, made []payload.Output) (d Delivery, err error) {
	if to.store == nil || len(made) == 0 {
		return d, nil
	}
	started := time.Now()
	defer func() { d.Took = time.Since(started) }()
	files := make([]stageout.File, len(made))
	names := map[string]string{}
	for i, out := range made {
		name, err := o.rules.FileName(s, out.Name)
		if err != nil {
			return d, err
		}
		if other, twice := names[name]; twice {
			return d, exitcode.New(exitcode.PayloadBadResult, "outputs %q and %q are one file", other, out.Name)
		}
		names[name] = out.Name
		files[i] = stageout.File{Name: name, Open: opener(dir, out.Name), SizeBytes: out.SizeBytes, Adler32: out.Adler32}
	}
	placed, err := stageout.Deliver(ctx, to.store, files, o.cfg)
	if err != nil {
		return d, fmt.Errorf("keeping outputs in %s: %w", to.at, err)
	}
	for i, p := range placed {
		d.Files = append(d.Files, message.OutputFile{
			Name: made[i].Name, Place: to.at.Join(p.Name).String(), SizeBytes: p.SizeBytes, Adler32: p.Adler32, Kept: p.Kept,
		})
	}
	return d, nil
}

// opener opens a file in the slice's folder, which was in the hands of the payload: no link is followed out of it.
func opener(dir, name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }()
		return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
}

// Outputs are the files of the result as they stand in a result message.
func (o Outcome) Outputs() []message.OutputFile {
	if o.Err != nil || o.Delivery.Files != nil {
		return o.Delivery.Files
	}
	var files []message.OutputFile
	for _, f := range o.Result.Outputs {
		files = append(files, message.OutputFile{Name: f.Name, SizeBytes: f.SizeBytes, Adler32: f.Adler32})
	}
	return files
}
