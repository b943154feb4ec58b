package wrapper

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
)

const (
	folderPrefix = "tfpilot-slice-"
	keptPrefix   = "tfpilot-kept-"
	// newborn is the age below which a folder may be one that is not locked yet.
	newborn = time.Minute
)

// folder makes the folder of a slice, which remove removes. It is locked as long as this process uses it, so that what a killed pilot
// left can be told from what is in use.
func (w *Wrapper) folder() (dir string, remove func(), err error) {
	// Not by New: a pilot makes one before it knows whether this disk answers.
	if err := os.MkdirAll(w.cfg.WorkDir, 0o755); err != nil {
		return "", nil, exitcode.New(exitcode.SiteNoSpace, "making the work directory: %w", err)
	}
	w.sweep.Do(func() { sweepFolders(w.cfg.WorkDir) })
	prefix := folderPrefix
	if w.cfg.Keep {
		prefix = keptPrefix
	}
	if dir, err = os.MkdirTemp(w.cfg.WorkDir, prefix); err != nil {
		return "", nil, exitcode.New(exitcode.SiteNoSpace, "making the slice's folder: %w", err)
	}
	lock, _ := lockFolder(dir) // not on every file system; there nothing is taken for left behind either
	return dir, func() {
		if !w.cfg.Keep {
			removeAll(dir)
		}
		_ = lock.Close()
	}, nil
}

// lockFolder takes the lock of a folder. The file is nil when it cannot be had.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sweepFolders removes the folders of slices whose pilots were killed.
func sweepFolders(workDir string) {
	left, _ := filepath.Glob(filepath.Join(workDir, folderPrefix+"*"))
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < newborn {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != os.Geteuid() {
			continue
		}
		if lock, err := lockFolder(dir); err == nil {
			removeAll(dir)
			_ = lock.Close()
		}
	}
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
