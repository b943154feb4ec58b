package program

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tfpilot/internal/exitcode"
)

// LockFolder makes a state folder and keeps other processes out of it until unlock is called or this one ends.
func LockFolder(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "making the state folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "locking the state folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, exitcode.Wrap(exitcode.StateLocked, errors.Join(errors.New("another process works on "+dir), f.Close()))
	}
	return func() { _ = f.Close() }, nil
}

// Beside is the given path or, when it is empty, the program of that name in the folder of this one.
func Beside(path, name string) (string, error) {
	if path != "" {
		abs, err := filepath.Abs(path)
		return abs, exitcode.Wrap(exitcode.Usage, err)
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", exitcode.New(exitcode.SiteNoProgram, "finding the folder of the programs: %w", err)
	}
	return filepath.Join(filepath.Dir(self), name), nil
}

// FolderLocked reports whether a process works on a state folder; one that is not there is nobody's.
func FolderLocked(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, exitcode.New(exitcode.StoreFailed, "looking at the lock of the state folder: %w", err)
	}
	defer func() { _ = f.Close() }() // and with it the lock, if there was none
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, exitcode.Wrap(exitcode.StoreFailed, err)
}
