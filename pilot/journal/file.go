package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const extension = ".journal"

// create makes a new file in a folder, and the folder when it is not there.
func create(dir string) (*os.File, string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("making the journal's folder: %w", err)
	}
	for {
		path := filepath.Join(dir, rand.Text()+extension)
		f, err := openLocked(path, os.O_CREATE|os.O_EXCL)
		switch {
		case err == nil:
			return f, path, nil
		case !errors.Is(err, errTaken):
			return nil, "", fmt.Errorf("making a journal: %w", err)
		}
	}
}

// errTaken says that another pilot holds a file, or has taken it over.
var errTaken = errors.New("another pilot's journal")

// openLocked opens a file and takes its lock. A pilot that starts takes every file for its own whose lock is free, also one that
// was made a moment ago and is not locked yet: so the file is looked for again when the lock is there.
func openLocked(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		err = errTaken
	}
	if err == nil {
		var opened, there os.FileInfo
		if opened, err = f.Stat(); err == nil {
			if there, err = os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(opened, there) {
				err = errTaken
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
