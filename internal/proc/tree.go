package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes orphaned descendants our children, once.
var becomeSubreaper = sync.OnceValue(func() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the reaper of descendants: %w", err)
	}
	return nil
})

// killTree kills until nothing of the tree is left but the program itself, which has been waited for. It returns how many
// processes it met. New ones can appear while it looks, so it looks again; one that cannot die (in the kernel) is given up.
func (p *Process) killTree() int {
	met := map[int]bool{}
	const patience = 5 * time.Second
	for start := time.Now(); time.Since(start) < patience; {
		alive := p.orphans()
		if len(alive) == 0 {
			return len(met)
		}
		for _, pid := range alive {
			met[pid] = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		waitBriefly(alive)
	}
	return len(met)
}

// signalTree sends a signal to every process of the tree.
func (p *Process) signalTree(sig syscall.Signal) {
	pids := append(descend(p.PID(), nil), p.orphans()...)
	_ = p.cmd.Process.Signal(sig) // it knows whether the id is still the program's
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}

// orphans are the living processes of the tree that do not descend from the program, which is all of them once it has ended:
// children of ours that carry its mark or are in its session, with their descendants. Dead ones among them are reaped on the
// way. The program's own id is not looked at: it may be somebody else's by now.
func (p *Process) orphans() []int {
	self := p.PID()
	var out []int
	for _, pid := range children(os.Getpid()) {
		if pid == self {
			continue
		}
		s, ok := readStat(pid)
		if !ok {
			continue
		}
		if s.session != self && s.group != self && !hasMark(pid, p.mark) {
			continue
		}
		if s.state == 'Z' {
			reap(pid)
			continue
		}
		out = descend(pid, append(out, pid))
	}
	return out
}

// descend appends the living descendants of a process.
func descend(pid int, out []int) []int {
	for _, child := range children(pid) {
		if s, ok := readStat(child); ok && s.state != 'Z' {
			out = descend(child, append(out, child))
		}
	}
	return out
}

// reap takes an orphan's exit status. Never called for what os/exec waits for: those have no orphaned parent.
func reap(pid int) {
	starting.Lock()
	defer starting.Unlock()
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
}

// waitBriefly gives killed processes a moment to die.
func waitBriefly(pids []int) {
	fds := make([]unix.PollFd, 0, len(pids))
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	if len(fds) > 0 {
		_, _ = unix.Poll(fds, 20)
	}
	for _, f := range fds {
		_ = unix.Close(int(f.Fd))
	}
}

// children are the direct children of a process, of all its threads.
func children(pid int) []int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var out []int
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for text := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(text); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// stat is what we need of /proc/PID/stat.
type stat struct {
	state          byte
	group, session int
}

func readStat(pid int) (stat, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The name in parentheses may hold anything, parentheses included.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, false
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 4 {
		return stat{}, false
	}
	group, _ := strconv.Atoi(f[2])
	session, _ := strconv.Atoi(f[3])
	return stat{state: f[0][0], group: group, session: session}, true
}

func hasMark(pid int, mark string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(b, []byte(Mark+"="+mark))
}
