package nodetest

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// nameless opens files without a name, so that a child that is ended at any moment leaves none behind: it is when its pilot leaves at
// once, and what lies in a work folder then goes into the job's log. Some file systems, such as NFS, have to give a name first: it
// stays no longer than SIGTERM can wait.
type nameless struct {
	// naming is held for reading while a file has its name.
	naming sync.RWMutex
}

// watchTERM has SIGTERM end this process when no file has a name. One that cannot be named, nor removed, because its file system
// hangs, is nothing to wait for: SIGKILL follows.
func (n *nameless) watchTERM() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		n.naming.Lock()
		signal.Reset(syscall.SIGTERM)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
}

func (n *nameless) open(dir string) (*os.File, error) {
	if fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600); err == nil {
		return os.NewFile(uintptr(fd), dir), nil
	}
	// Whatever it was, that no file can be made here at all shows now, in the words that are known for it.
	n.naming.RLock()
	defer n.naming.RUnlock()
	f, err := os.CreateTemp(dir, ".tfpilot-node-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
