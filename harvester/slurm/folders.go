package slurm

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// makeFolders makes the pilots' folders, which Slurm does not, and copies what is shipped to where the nodes see it. undo
// removes them again.
func makeFolders(sub harvester.Submission) (undo func(), err error) {
	var made []string
	undo = func() {
		for _, dir := range made {
			_ = os.RemoveAll(dir)
		}
	}
	mkdir := func(dir string) error {
		if err := os.MkdirAll(sub.Dir, 0o700); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		made = append(made, dir)
		return nil
	}
	for i := range sub.Count {
		if err = mkdir(filepath.Join(sub.Dir, sub.Tag+"."+strconv.Itoa(i))); err != nil {
			break
		}
	}
	if err == nil && sub.Ship {
		if err = mkdir(shipped(sub)); err == nil {
			err = errors.Join(copyTo(shipped(sub), append([]string{sub.Path}, sub.Files...))...)
		}
	}
	if err != nil {
		undo()
		return nil, exitcode.WithNext(exitcode.New(exitcode.SiteNoSpace, "making the folders of the pilots: %w", err),
			"free the disk or quota of the state folder, or set state to a folder that this user may write to")
	}
	return undo, nil
}

// filesSuffix is of the folders of what pilots take along.
const filesSuffix = ".files"

// shipped is the folder of what pilots take along.
func shipped(sub harvester.Submission) string { return filepath.Join(sub.Dir, sub.Tag+filesSuffix) }

func copyTo(dir string, files []string) []error {
	var errs []error
	for _, from := range files {
		errs = append(errs, func() error {
			in, err := os.Open(from) //nolint:gosec // the configuration names it
			if err != nil {
				return err
			}
			defer func() { _ = in.Close() }()
			info, err := in.Stat()
			if err != nil {
				return err
			}
			out, err := os.OpenFile(filepath.Join(dir, filepath.Base(from)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()&0o700) //nolint:gosec // as above
			if err != nil {
				return err
			}
			_, err = io.Copy(out, in)
			return errors.Join(err, out.Close())
		}())
	}
	return errs
}

// sweepAfter is how old what a submission took along has to be: one of which nobody knows whether it happened may yet come.
const sweepAfter = time.Hour

// sweep removes what submissions took along that have ended: it is large, and a token may be in it.
func (s *System) sweep(jobs string) {
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	if live == nil {
		return
	}
	old, _ := fs.Glob(os.DirFS(jobs), harvester.TagPrefix+"*"+filesSuffix) // the pattern is a good one
	for _, name := range old {
		dir := filepath.Join(jobs, name)
		info, err := os.Stat(dir)
		if err == nil && time.Since(info.ModTime()) > sweepAfter && !live[strings.TrimSuffix(name, filesSuffix)] {
			_ = os.RemoveAll(dir) // next time, else
		}
	}
}
