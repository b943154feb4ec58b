package stageout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
)

// Store is a place as a file system. Names are relative to it, and plain. Errors are those of io/fs and syscall where there is
// one of the same meaning; one with a place in internal/exitcode will not go better for being tried again.
type Store interface {
	// Find is the size and checksum of a file; fs.ErrNotExist when there is none. The checksum is empty where nobody tells it.
	Find(ctx context.Context, name string) (sizeBytes int64, adler32 string, err error)
	// Write makes a file, with the folders that it lies in, and returns when its content is there for good and found to be what
	// the file says of itself; fs.ErrExist when there is one of that name. A failed one may leave a part of it.
	Write(ctx context.Context, name string, f File) error
	// Rename gives a file its name; fs.ErrExist when there is one of that name, unless it is to be replaced.
	Rename(ctx context.Context, from, to string, replace bool) error
	// Remove removes a file, if it is there.
	Remove(ctx context.Context, name string) error
}

// File is an output on this node.
type File struct {
	// Name is what it is to be called, relative to the place.
	Name string
	// Open opens it, for every try anew.
	Open      func() (io.ReadCloser, error)
	SizeBytes int64
	// Adler32 has eight hexadecimal digits.
	Adler32 string
}

// Placed is a file at its place.
type Placed struct {
	Name      string
	SizeBytes int64
	// Adler32 is empty for a file that was there before, at a server that does not tell it.
	Adler32 string
	// Kept says that another file of this name was there, and stays: size and checksum are those of that one.
	Kept bool
}

// Config is how files are delivered.
type Config struct {
	// Timeout bounds all files of a slice with all tries; 0 is 10 minutes.
	Timeout time.Duration
	// Replace writes over files that are there.
	Replace bool
}

const (
	defaultTimeout = 10 * time.Minute
	// tries of each step, with a pause between that doubles: a server may come back after some seconds.
	tries      = 6
	firstPause = 500 * time.Millisecond
	// leaveTime is for removing what is not to stay, hurryTime the same for a slot that is taken back.
	leaveTime = 10 * time.Second
	hurryTime = 500 * time.Millisecond
	// maxLeft keeps a server that says of every name that it is taken from being asked for ever.
	maxLeft = 1000
)

// Deliver puts the files into the store, all or none. Its error is [exitcode.OutputFailed] unless it says more; that of ctx when
// that ended.
func Deliver(ctx context.Context, s Store, files []File, cfg Config) ([]Placed, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	d := delivery{store: s, cfg: cfg}
	limited, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, fmt.Errorf("not done within %s", cfg.Timeout))
	defer cancel()
	placed, err := d.all(limited, files)
	if err == nil {
		return placed, nil
	}
	d.clean(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, exitcode.New(exitcode.Interrupted, "delivering the outputs was ended: %w", context.Cause(ctx))
	case exitcode.From(err) == exitcode.Internal:
		return nil, exitcode.Wrap(exitcode.OutputFailed, err)
	default:
		return nil, err
	}
}

// delivery is that of one slice.
type delivery struct {
	store Store
	cfg   Config
	// temporary are names of ours that have not become final ones, left those of somebody who went away, or is slower.
	temporary, left []string
}

func (d *delivery) all(ctx context.Context, files []File) ([]Placed, error) {
	placed := make([]Placed, len(files))
	names := make([]string, len(files)) // the temporary ones; empty for what is there
	replace := make([]bool, len(files))
	for i, f := range files {
		p, found, err := d.look(ctx, f)
		if err != nil {
			return nil, err
		}
		if placed[i], replace[i] = p, found == useless; found == final {
			continue
		}
		if names[i], err = d.write(ctx, f); err != nil {
			return nil, err
		}
	}
	for i, f := range files {
		if names[i] == "" {
			continue
		}
		err := d.try(ctx, f.Name, func(ctx context.Context, _ int) error { return d.store.Rename(ctx, names[i], f.Name, replace[i]) })
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			// Another attempt was quicker, or an earlier try went well without our being told.
			p, found, lerr := d.look(ctx, f)
			if err = errors.Join(err, lerr); found == final {
				placed[i], err = p, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	d.temporary = append(d.temporary, d.left...) // who is slower finds the final one
	d.clean(ctx)
	return placed, nil
}

// write makes the file under a temporary name. The first such name is the same for all attempts, so that what a killed pilot left
// under it is found, and removed in the end.
func (d *delivery) write(ctx context.Context, f File) (name string, err error) {
	name = temporaryName(f.Name, "part")
	for {
		err = d.try(ctx, f.Name, func(ctx context.Context, n int) error {
			if n > 1 { // what is there by now is ours
				if err := d.store.Remove(ctx, name); err != nil {
					return err
				}
			}
			return d.store.Write(ctx, name, f)
		})
		if !errors.Is(err, fs.ErrExist) {
			d.temporary = append(d.temporary, name)
			return name, err
		}
		if d.left = append(d.left, name); len(d.left) > maxLeft {
			return name, err
		}
		name = temporaryName(f.Name, rand.Text()[:8])
	}
}

// found says what is at the place of a file.
type found int

const (
	nothing found = iota
	// useless is a file that is to be written over.
	useless
	// final is one that stays.
	final
)

// look looks at the place of a file, and says what will be there.
func (d *delivery) look(ctx context.Context, f File) (p Placed, is found, err error) {
	p = Placed{Name: f.Name, SizeBytes: f.SizeBytes, Adler32: f.Adler32}
	type file struct {
		size int64
		sum  string
	}
	answer := make(chan file, tries) // and no variable: a try that was left behind may write to it later
	err = d.try(ctx, f.Name, func(ctx context.Context, _ int) error {
		size, sum, err := d.store.Find(ctx, f.Name)
		if err == nil {
			answer <- file{size, sum}
		}
		return err
	})
	var there file
	if err == nil {
		there = <-answer
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nothing, nil
	case err != nil:
		return p, nothing, err
	case same(there.size, there.sum, f):
		return p, final, nil
	case d.cfg.Replace || there.size == 0: // no output is empty: somebody began it
		return p, useless, nil
	default:
		return Placed{Name: f.Name, SizeBytes: there.size, Adler32: there.sum, Kept: true}, final, nil
	}
}

// same says that a file is the one to be delivered, as far as that can be told.
func same(size int64, sum string, f File) bool {
	return size == f.SizeBytes && (sum == "" || sum == f.Adler32)
}

// try does a step until it is done, or will not go better for being tried again. The step is told which try it is, from 1.
func (d *delivery) try(ctx context.Context, name string, step func(ctx context.Context, n int) error) error {
	rest := firstPause
	for n := 1; ; n++ {
		err := within(ctx, func(ctx context.Context) error { return step(ctx, n) })
		if err == nil {
			return nil
		}
		if n == tries || hopeless(err) {
			return fmt.Errorf("output %s: %w", name, err)
		}
		if perr := pause.For(ctx, rest); perr != nil {
			return fmt.Errorf("output %s: %w: %w", name, perr, err)
		}
		rest *= 2
	}
}

// hopeless says that the same step, tried again at once, will end in the same way: so does what a store has a place in the table
// for.
func hopeless(err error) bool {
	for _, never := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ENAMETOOLONG, syscall.ENOTDIR, syscall.EISDIR, syscall.EFBIG} {
		if errors.Is(err, never) {
			return true
		}
	}
	return exitcode.From(err) != exitcode.Internal
}

// within does a step and waits for it no longer than ctx allows: a file system that does not answer takes no signal.
func within(ctx context.Context, step func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done := make(chan error, 1)
	go func() { done <- step(ctx) }()
	select {
	case err := <-done:
		if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// clean removes what has no place: also when the time is over, and what cannot be removed is no reason for anything.
func (d *delivery) clean(ctx context.Context) {
	limit := leaveTime
	if ctx.Err() != nil {
		limit = hurryTime
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	for _, name := range d.temporary {
		_ = within(ctx, func(ctx context.Context) error { return d.store.Remove(ctx, name) })
	}
}

// temporaryName lies beside the final one, and is hidden.
func temporaryName(name, part string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+"."+part)
}
