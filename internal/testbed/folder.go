package testbed

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"tfpilot/internal/exitcode"
)

// CleanFolder makes dir an empty folder of ours. A folder that holds anything but a former run is left alone, and so is one
// in which something is running; unlock lets go of it.
func CleanFolder(dir string) (abs string, unlock func(), err error) {
	if abs, err = filepath.Abs(dir); err != nil {
		return "", nil, exitcode.Wrap(exitcode.Usage, err)
	}
	entries, err := os.ReadDir(abs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, exitcode.New(exitcode.StoreFailed, "reading the output folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(abs, marker)); err != nil && len(entries) > 0 {
		return "", nil, exitcode.New(exitcode.Usage, "--out %s holds files that are not a testbed's; choose another folder", abs)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", nil, exitcode.New(exitcode.StoreFailed, "making the output folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, marker), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", nil, exitcode.New(exitcode.StoreFailed, "locking the output folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return "", nil, exitcode.WithNext(exitcode.New(exitcode.StateLocked, "a testbed is running in %s", abs), "end it, or choose another folder with --out")
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(abs, e.Name())); err != nil {
			_ = lock.Close()
			err := exitcode.New(exitcode.StoreFailed, "removing the former run: %w", err)
			if errors.Is(err, syscall.EBUSY) { // chaos that was killed with -9 could not take its disk away
				err = exitcode.WithNext(err, "umount "+filepath.Join(abs, e.Name()))
			}
			return "", nil, err
		}
	}
	return abs, func() { _ = lock.Close() }, nil
}
