package wrapper

import (
	"io/fs"
	"os"
	"path/filepath"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/scratch"
)

const (
	folderPrefix = "tfpilot-slice-"
	keptPrefix   = "tfpilot-kept-"
)

// folder makes the folder of a slice, which remove removes. It is locked as long as this process uses it, so that what a killed pilot
// left can be told from what is in use.
func (w *Wrapper) folder() (dir string, remove func(), err error) {
	// Not by New: a pilot makes one before it knows whether this disk answers.
	if err := os.MkdirAll(w.cfg.WorkDir, 0o755); err != nil {
		return "", nil, exitcode.New(exitcode.SiteNoSpace, "making the work directory: %w", err)
	}
	w.sweep.Do(func() { scratch.Sweep(w.cfg.WorkDir, folderPrefix, removeAll) })
	prefix := folderPrefix
	if w.cfg.Keep {
		prefix = keptPrefix
	}
	f, err := scratch.New(w.cfg.WorkDir, prefix)
	if err != nil {
		return "", nil, exitcode.New(exitcode.SiteNoSpace, "making the slice's folder: %w", err)
	}
	return f.Path, func() {
		if !w.cfg.Keep {
			removeAll(f.Path)
		}
		f.Release()
	}, nil
}

// removeAll removes a slice's folder even when the payload took away its own rights. What cannot be removed is no reason to
// fail the slice.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}
