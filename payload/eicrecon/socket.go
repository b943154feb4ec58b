package eicrecon

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
)

const (
	// maxSocketPath is what the kernel takes for the name of a Unix socket.
	maxSocketPath = 107
	socketPrefix  = "tfpilot-eic-"
	// newborn is the age below which a folder may be one that is not locked yet.
	newborn = time.Minute
)

// socket is where a daemon listens: a name in a folder of its own, which nobody else may enter. Each daemon gets a new one, so that what
// an earlier one left cannot be taken for it. The folder is locked as long as this process lives.
type socket struct {
	dir, path string
	lock      *os.File
}

// newSocket makes the folder in base.
func newSocket(base string) (s socket, err error) {
	if s.dir, err = os.MkdirTemp(base, socketPrefix); err != nil {
		return socket{}, exitcode.New(exitcode.SiteNoSpace, "making the folder of a socket: %w", err)
	}
	s.path = filepath.Join(s.dir, "s")
	if len(s.path) > maxSocketPath {
		_ = os.Remove(s.dir)
		err := exitcode.New(exitcode.BadConfig, "the name of a socket has at most %d bytes: %s", maxSocketPath, s.path)
		return socket{}, exitcode.WithNext(err, "set socket_dir in [eicrecon] to a folder with a short name")
	}
	s.lock, _ = lockFolder(s.dir) // not on every file system; there nothing is taken for left behind either
	return s, nil
}

// remove removes the folder, and with it whatever the daemon left there.
func (s socket) remove() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return f, nil
}

// sweepSockets removes the folders that killed pilots left.
func sweepSockets(base string) {
	left, _ := filepath.Glob(filepath.Join(base, socketPrefix+"*"))
	for _, dir := range left {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < newborn {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != os.Geteuid() {
			continue
		}
		if lock, err := lockFolder(dir); err == nil {
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		}
	}
}
