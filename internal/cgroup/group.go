package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// prefix begins the names of our groups.
const prefix = "tfpilot-"

// place is the group that this process is in. It is looked up once: who moves a running process does not move its payloads.
var place = sync.OnceValue(own)

// made numbers the groups of this process.
var made atomic.Int64

// Group is a control group of our own.
type Group struct {
	dirs    hierarchies
	lock    *os.File
	limited bool
	hits    int64 // of v2, when Watch was called
}

// Make makes a group below the one that this process is in, in every hierarchy where that is allowed, with a limit on its memory
// where the kernel enforces one; 0 is none. The error says why there is no group.
func Make(memory int64) (*Group, error) {
	parent := place()
	if len(parent.all()) == 0 {
		return nil, errors.New("no cgroup file system is mounted")
	}
	sweepOnce(parent)
	g, err := makeGroup(parent, memory)
	for range 2 { // another one that looks for what was left may be quicker than our lock
		if !errors.Is(err, errTaken) {
			break
		}
		g, err = makeGroup(parent, memory)
	}
	return g, err
}

// errTaken says that the lock of a group is held.
var errTaken = errors.New("another process has its lock")

func makeGroup(parent hierarchies, memory int64) (*Group, error) {
	g := &Group{dirs: parent.below(fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), made.Add(1)))}
	var errs []error
	for _, dir := range []*string{&g.dirs.unified, &g.dirs.memory, &g.dirs.freezer} {
		if *dir == "" {
			continue
		}
		if err := os.Mkdir(*dir, 0o755); err != nil {
			errs = append(errs, err)
			*dir = ""
		}
	}
	dirs := g.dirs.all()
	if len(dirs) == 0 {
		return nil, errs[0]
	}
	var err error
	if g.lock, err = lock(dirs[0]); err != nil {
		_ = g.remove()
		return nil, fmt.Errorf("%w: %w", errTaken, err)
	}
	if memory > 0 {
		g.limited = g.limit(parent, memory) == nil
	}
	return g, nil
}

// limit has the kernel enforce a limit, swap included.
func (g *Group) limit(parent hierarchies, memory int64) error {
	write := func(dir, file string) error {
		return os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(memory, 10)), 0)
	}
	if g.dirs.memory != "" {
		if err := write(g.dirs.memory, "memory.limit_in_bytes"); err != nil {
			return err
		}
		_ = write(g.dirs.memory, "memory.memsw.limit_in_bytes") // not there where the kernel does not count swap
		return nil
	}
	if g.dirs.unified == "" {
		return errors.New("no memory controller")
	}
	// It is refused where the group above holds processes itself. Moving those is not for us.
	_ = os.WriteFile(filepath.Join(parent.unified, "cgroup.subtree_control"), []byte("+memory"), 0)
	if err := write(g.dirs.unified, "memory.max"); err != nil {
		return err
	}
	_ = os.WriteFile(filepath.Join(g.dirs.unified, "memory.swap.max"), []byte("0"), 0)
	return nil
}

// Limited says that the kernel enforces the limit on the memory.
func (g *Group) Limited() bool { return g.limited }

// lock takes the lock of a group; an error says that somebody has it.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return f, nil
}

// sweepOnce looks once in the life of a process for groups whose owner is gone.
var swept sync.Once

func sweepOnce(parent hierarchies) { swept.Do(func() { sweep(parent) }) }

// sweep ends and removes the groups whose owner is gone. One whose lock is held, in whatever hierarchy, is left alone.
func sweep(parent hierarchies) {
	for _, root := range parent.all() {
		left, _ := filepath.Glob(filepath.Join(root, prefix+"*"))
		for _, dir := range left {
			g := &Group{dirs: parent.below(filepath.Base(dir))}
			if unlock, ok := g.lockAll(); ok {
				g.Kill()
				_ = g.remove() // it is looked at again by the next one
				unlock()
			}
		}
	}
}

// lockAll takes the locks of all folders of a group; ok is false when somebody holds one.
func (g *Group) lockAll() (unlock func(), ok bool) {
	var held []*os.File
	unlock = func() {
		for _, f := range held {
			_ = f.Close()
		}
	}
	for _, dir := range g.dirs.all() {
		f, err := lock(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			unlock()
			return nil, false
		}
		held = append(held, f)
	}
	return unlock, true
}

// Add puts a process, with all that it will start, into the group.
func (g *Group) Add(pid int) error {
	for _, dir := range g.dirs.all() {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("moving process %d into its group: %w", pid, err)
		}
	}
	return nil
}

// OOMKills is how many processes of the group the kernel has killed for want of memory.
func (g *Group) OOMKills() int64 { return g.dirs.oomKills() }

// Watch begins to look whether the limit is reached.
func (g *Group) Watch() {
	if g.dirs.memory != "" {
		_ = os.WriteFile(filepath.Join(g.dirs.memory, "memory.max_usage_in_bytes"), []byte("0"), 0)
	}
	g.hits = g.countHits()
}

// Reached says that the group has reached its limit since Watch. A kill without that is for the limit of a group above. In v1 what
// the kernel keeps of files counts too.
func (g *Group) Reached() bool {
	if g.dirs.memory == "" {
		return g.countHits() > g.hits
	}
	return g.number("memory.max_usage_in_bytes") >= g.number("memory.limit_in_bytes")
}

func (g *Group) countHits() int64 {
	return value(filepath.Join(g.dirs.unified, "memory.events.local"), "oom")
}

// number reads a file of v1 with nothing but a number, 0 when it is not there.
func (g *Group) number(file string) int64 {
	b, _ := os.ReadFile(filepath.Join(g.dirs.memory, file))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// pids are the processes of the group.
func (g *Group) pids() []int {
	for _, dir := range g.dirs.all() {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		var pids []int
		for line := range lines(b) {
			if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	return nil
}

// Kill kills what is in the group, and returns when it is empty. What the kernel holds on to is given up after some seconds.
func (g *Group) Kill() {
	const patience = 5 * time.Second
	for end := time.Now().Add(patience); time.Now().Before(end); {
		pids := g.pids()
		if len(pids) == 0 {
			return
		}
		g.killOnce(pids)
		pollBriefly(pids)
	}
}

// killOnce kills in one stroke where the kernel can, else while nothing in the group can move, so that a process that starts
// others without end does not outrun us.
func (g *Group) killOnce(pids []int) {
	if g.dirs.unified != "" && os.WriteFile(filepath.Join(g.dirs.unified, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	state := filepath.Join(g.dirs.freezer, "freezer.state")
	if g.dirs.freezer != "" && os.WriteFile(state, []byte("FROZEN"), 0) == nil {
		pids = append(pids, g.pids()...)
		defer func() { _ = os.WriteFile(state, []byte("THAWED"), 0) }()
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// pollBriefly gives killed processes a moment to die.
func pollBriefly(pids []int) {
	fds := make([]unix.PollFd, 0, len(pids))
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	_, _ = unix.Poll(fds, 20)
	for _, f := range fds {
		_ = unix.Close(int(f.Fd))
	}
}

// Close kills what is in the group and removes it.
func (g *Group) Close() error {
	g.Kill()
	err := g.remove()
	_ = g.lock.Close()
	return err
}

// remove removes the empty folders. A group whose last process has just died may be busy for a moment.
func (g *Group) remove() error {
	var errs []error
	for _, dir := range g.dirs.all() {
		err := unix.Rmdir(dir)
		for end := time.Now().Add(time.Second); errors.Is(err, unix.EBUSY) && time.Now().Before(end); err = unix.Rmdir(dir) {
			_, _ = unix.Poll(nil, 5)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("removing %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}
