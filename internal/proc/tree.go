package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
// processes it met. New ones can appear while it looks, and the kernel may leave one out of a list that changes while it is
// read (proc(5), children), so it looks again until it is sure; one that cannot die (in the kernel) is given up.
func (p *Process) killTree() int {
	met := map[int]bool{}
	const patience = 5 * time.Second
	for start, empty := time.Now(), 0; time.Since(start) < patience; {
		alive, sure := p.orphans()
		if len(alive) == 0 {
			if empty++; sure || empty > 1 {
				return len(met)
			}
			continue
		}
		empty = 0
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
	orphans, _ := p.orphans()
	pids := append(descend(p.PID(), nil), orphans...)
	_ = p.cmd.Process.Signal(sig) // it knows whether the id is still the program's
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}

// orphans are the living processes of the tree that do not descend from the program, which is all of them once it has ended:
// children of ours that carry its mark or are in its session, with their descendants. Dead ones among them are reaped on the
// way. The program's own id is not looked at: it may be somebody else's by now.
//
// That there are none is sure when we have no child at all. When there are children of other trees, the list may have a gap.
func (p *Process) orphans() (alive []int, sure bool) {
	self := p.PID()
again:
	if childless() {
		return nil, true
	}
	alive, sure = nil, true
	for _, pid := range children(os.Getpid()) {
		sure = false
		if pid == self {
			continue
		}
		s, ok := readStat(pid)
		if !ok {
			continue
		}
		if s.state == 'Z' {
			if s.session != ownSession() && reap(pid) {
				goto again // its own children may have become ours after the list was read
			}
			continue
		}
		if s.session != self && s.group != self && !hasMark(pid, p.mark) {
			continue
		}
		alive = descend(pid, append(alive, pid))
	}
	return alive, sure
}

// childless holds when this process has no child, dead or alive. One question to the kernel instead of a list for each of our
// threads: it is what mostly is so after a slice.
func childless() bool {
	return errors.Is(unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil), unix.ECHILD)
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

// ownSession is the session of this process. What somebody started without this package is in it, and is left to them.
var ownSession = sync.OnceValue(func() int {
	session, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	return session
})

// programs are those that os/exec waits for, by process id.
type programs struct {
	starting sync.RWMutex // held for reading from a fork until the id is noted
	mu       sync.Mutex
	pids     map[int]bool
}

var running = programs{pids: map[int]bool{}}

// start starts a program and notes it.
func (r *programs) start(cmd *exec.Cmd) error {
	r.starting.RLock()
	defer r.starting.RUnlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pids[cmd.Process.Pid] = true
	return nil
}

// wait waits for a program and forgets it.
func (r *programs) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pids, cmd.Process.Pid)
	return err
}

// reap takes the exit status of a dead orphan of any tree, which nobody else would: it would stay in the process table for
// as long as we live. A dead process has no environment any more, so that its mark does not tell whose it was.
func reap(pid int) bool {
	running.starting.Lock()
	defer running.starting.Unlock()
	running.mu.Lock()
	defer running.mu.Unlock()
	if running.pids[pid] {
		return false
	}
	var status syscall.WaitStatus
	got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
	return err == nil && got == pid
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
	dir := fmt.Sprintf("/proc/%d/task", pid)
	task, err := os.Open(dir)
	if err != nil {
		return nil
	}
	threads, _ := task.Readdirnames(-1) // a thread that is missed has just begun or ended
	_ = task.Close()
	var out []int
	for _, thread := range threads {
		b, err := os.ReadFile(filepath.Join(dir, thread, "children"))
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
