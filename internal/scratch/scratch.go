// Package scratch makes folders that last no longer than the process that uses them: each is locked by it, so that what a killed one left
// can be told from what is in use, and removed by the next.
package scratch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// newborn is the age below which a folder may be one that is not locked yet.
const newborn = time.Minute

// Folder is a folder of this process.
type Folder struct {
	Path string
	lock *os.File // nil on a file system without locks; there nothing is taken for left behind either
}

// New makes a folder in base, which has to be there, with a name that begins with prefix and that nothing had before.
func New(base, prefix string) (Folder, error) {
	dir, err := os.MkdirTemp(base, prefix)
	if err != nil {
		return Folder{}, err
	}
	f := Folder{Path: dir}
	f.lock, _ = lock(dir)
	return f, nil
}

// Release gives up the lock: what is still there may be swept. The zero Folder has none.
func (f Folder) Release() { _ = f.lock.Close() }

// Sweep hands those folders in base with the prefix to remove that this user's killed processes left. Whoever looks at the same time finds
// them locked.
func Sweep(base, prefix string, remove func(dir string)) {
	entries, _ := os.ReadDir(base)
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), prefix) || !info.IsDir() || time.Since(info.ModTime()) < newborn {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != os.Geteuid() {
			continue
		}
		if lock, err := lock(dir); err == nil {
			remove(dir)
			_ = lock.Close()
		}
	}
}

// lock takes the lock of a folder; an error says that another has it, or that there is none to be had.
func lock(dir string) (*os.File, error) {
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
