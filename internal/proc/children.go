package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes orphaned descendants our children, once. It notes whether there were children before, as when a
// job's script starts something and then becomes this program.
var becomeSubreaper = sync.OnceValue(func() error {
	running.strangers = len(running.children()) > 0
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the reaper of descendants: %w", err)
	}
	return nil
})

// ownSession is the session of this process. What somebody started without this package is in it, and is left to them.
var ownSession = sync.OnceValue(func() int {
	session, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	return session
})

// programs are those of this process with their trees, and the keeper of its list of children.
type programs struct {
	// strangers says that there may be descendants of ours that no program of this package has started.
	strangers bool
	// starting is held for reading from a fork until the id is noted.
	starting sync.RWMutex
	// reaping is held by whoever takes the status of a dead child, and for reading by whoever reads the list of children: the
	// kernel leaves one out when another one goes while the list is read (proc(5)), and they go by being reaped only.
	reaping sync.RWMutex

	mu    sync.Mutex
	pids  map[int]bool    // programs that os/exec waits for
	marks map[string]bool // trees that are not yet gone
}

var running = programs{pids: map[int]bool{}, marks: map[string]bool{}}

// start starts a program and notes it with its tree.
func (r *programs) start(cmd *exec.Cmd, mark string) error {
	r.starting.RLock()
	defer r.starting.RUnlock()
	// The mark first: it shows before Start returns, and a mark that is not noted is that of a tree that should be gone.
	r.mu.Lock()
	r.marks[mark] = true
	r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		r.gone(mark)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pids[cmd.Process.Pid] = true
	return nil
}

// wait waits for a program and forgets it.
func (r *programs) wait(cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue // only to know that it is dead; the status is taken below, at once
	}
	r.reaping.Lock()
	defer r.reaping.Unlock()
	err := cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pids, pid)
	return err
}

// gone forgets a tree.
func (r *programs) gone(mark string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.marks, mark)
}

// reap takes the status of a dead orphan of any tree, which nobody else would: it would stay in the process table for as
// long as we live. A dead process has no environment any more, so that its mark does not tell whose it was.
func (r *programs) reap(pid int) bool {
	r.starting.Lock()
	defer r.starting.Unlock()
	r.reaping.Lock()
	defer r.reaping.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pids[pid] {
		return false
	}
	var status syscall.WaitStatus
	got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
	return err == nil && got == pid
}

// children are those of this process, dead ones included.
func (r *programs) children() []int {
	// One question to the kernel instead of a list for each of our threads: mostly there is none after a slice.
	if errors.Is(unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil), unix.ECHILD) {
		return nil
	}
	r.reaping.RLock()
	defer r.reaping.RUnlock()
	return children(os.Getpid())
}

// kinship is how an orphan stands to a tree.
type kinship int

const (
	foreign kinship = iota // of another tree, or of none of ours
	member                 // of this tree, or of one that should be gone
	unknown                // it shows no mark
)

// kin compares the mark that a process shows with that of a tree.
func (r *programs) kin(pid int, mark string) kinship {
	shown := markOf(pid)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.pids[pid]:
		return foreign
	case shown == "":
		return unknown
	case strings.HasPrefix(shown, mark):
		return member
	case !strings.HasPrefix(shown, ownMark):
		return foreign // started by somebody who is gone, and whose orphans are ours to reap, not to end
	}
	for other := range r.marks {
		if strings.HasPrefix(shown, other) {
			return foreign
		}
	}
	return member
}

// alone holds when what shows no mark can only be of this tree.
func (r *programs) alone(mark string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.strangers && len(r.marks) == 1 && r.marks[mark]
}

// markOf is the mark in the environment of a process. It is empty for one that has dropped it, and for a moment while a
// process begins another program or ends.
func markOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		if mark, ok := bytes.CutPrefix(v, []byte(Mark+"=")); ok {
			return string(mark)
		}
	}
	return ""
}
