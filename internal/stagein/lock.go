package stagein

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/pause"
)

// lookAgain is how often one that waits for a lock looks at it: the kernel wakes nobody who also has a context to obey.
const lookAgain = 10 * time.Millisecond

// errBusy says that somebody else has the lock.
var errBusy = errors.New("in use")

// tryLock takes a lock, unix.LOCK_SH or LOCK_EX, or says errBusy. The file is made when it is missing.
func tryLock(path string, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, errBusy
			}
			return nil, err
		}
		// Whoever removed the file had its lock; a lock of a file that is gone keeps nobody out.
		held, err := f.Stat()
		if err == nil {
			var there os.FileInfo
			if there, err = os.Lstat(path); err == nil && os.SameFile(held, there) {
				return f, nil
			}
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// lock waits for one.
func lock(ctx context.Context, path string, how int) (*os.File, error) {
	for {
		f, err := tryLock(path, how)
		if !errors.Is(err, errBusy) {
			return f, err
		}
		if err := pause.For(ctx, lookAgain); err != nil {
			return nil, err
		}
	}
}

// unlock gives a lock up, also where a process that is being started just now has it for a moment, too: closing would leave it that.
func unlock(f *os.File) {
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	_ = f.Close()
}
