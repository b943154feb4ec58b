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

// killTree kills until nothing of the tree is left but the program itself, which has been waited for. It returns how many
// processes it met. New ones can appear while it looks, so it looks again; one that cannot die (in the kernel) is given up.
func (p *Process) killTree() int {
	const (
		patience = 5 * time.Second
		doubt    = 200 * time.Millisecond // for a process to show its mark again
	)
	met := map[int]bool{}
	for start := time.Now(); time.Since(start) < patience; {
		alive, doubtful := p.orphans()
		if len(alive) == 0 && len(doubtful) > 0 {
			if time.Since(start) < doubt {
				waitBriefly(doubtful)
				continue
			}
			if running.alone(p.mark) {
				alive = doubtful
			}
		}
		if len(alive) == 0 {
			break
		}
		for _, pid := range alive {
			if s, ok := readStat(pid); ok && !s.exiting && !s.killed { // who is about to be gone was not left behind
				met[pid] = true
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		waitBriefly(alive)
	}
	return len(met)
}

// release leaves the rest of the tree running. It is ours to reap all the same, for as long as we live: who stops a service
// waits until it is out of the process table. Until then its mark stays noted, so that no other tree takes it for its own.
func (p *Process) release() {
	var service sync.WaitGroup
	alive, doubtful := p.orphans()
	for _, pid := range append(alive, doubtful...) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // gone already
		}
		service.Go(func() {
			died := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			for died[0].Revents == 0 {
				_, _ = unix.Poll(died, -1) // a signal to us ends it early
			}
			_ = unix.Close(fd)
			running.reap(pid)
		})
	}
	go func() {
		service.Wait()
		running.gone(p.mark)
	}()
}

// signalTree sends a signal to every process of the tree.
func (p *Process) signalTree(sig syscall.Signal) {
	orphans, _ := p.orphans()
	pids := append(Descendants(p.PID()), orphans...)
	_ = p.cmd.Process.Signal(sig) // it knows whether the id is still the program's
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}

// orphans are the living processes of the tree that do not descend from the program, which is all of them once it has ended:
// children of ours that carry its mark or are in its session, with their descendants. Doubtful are those that show no mark:
// they may be of this tree. Dead ones are reaped on the way. The program's own id is not looked at: it may be somebody
// else's by now.
func (p *Process) orphans() (alive, doubtful []int) {
	self := p.PID()
again:
	alive, doubtful = nil, nil
	for _, pid := range running.children() {
		if pid == self {
			continue
		}
		s, ok := readStat(pid)
		if !ok || (s.state == 'Z' && s.session != ownSession() && running.reap(pid)) {
			goto again // it has just gone, and its own children may have become ours after the list was read
		}
		if s.state == 'Z' || s.session == ownSession() {
			continue
		}
		kin := member
		if s.session != self && s.group != self {
			kin = running.kin(pid, p.mark)
		}
		switch kin {
		case member:
			alive = descend(pid, append(alive, pid))
		case unknown:
			doubtful = append(doubtful, pid)
		case foreign:
		}
	}
	return alive, doubtful
}

// Children are the direct children of a process, dead ones included.
func Children(pid int) []int { return children(pid) }

// Descendants are the living processes below one, however deep.
func Descendants(pid int) []int { return descend(pid, nil) }

func descend(pid int, out []int) []int {
	for _, child := range children(pid) {
		if s, ok := readStat(child); ok && s.state != 'Z' {
			out = descend(child, append(out, child))
		}
	}
	return out
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
	// exiting is true from the first step of its end, which may take a while: that of process 1 of a namespace is the end of all.
	exiting bool
	// killed says that SIGKILL waits for it: the kernel has sent it, as to what is to die with its parent, or somebody else.
	killed bool
	// Of itself, and of all below it that it has waited for.
	user, system, reapedUser, reapedSystem time.Duration

	pages int64
}

// Tick is what all interfaces of Linux count CPU time in, whatever the kernel uses itself.
const Tick = time.Second / 100

// readStat reads it by the numbers of proc(5), less the three fields up to the name.
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
	if len(f) < 22 {
		return stat{}, false
	}
	number := func(field int) int64 {
		n, _ := strconv.ParseInt(f[field-3], 10, 64)
		return n
	}
	const exiting = 0x4 // PF_EXITING of include/linux/sched.h
	return stat{
		state: f[0][0], group: int(number(5)), session: int(number(6)), exiting: number(9)&exiting != 0, killed: number(31)&(1<<(syscall.SIGKILL-1)) != 0,
		user: time.Duration(number(14)) * Tick, system: time.Duration(number(15)) * Tick,
		reapedUser: time.Duration(number(16)) * Tick, reapedSystem: time.Duration(number(17)) * Tick, pages: number(24),
	}, true
}
