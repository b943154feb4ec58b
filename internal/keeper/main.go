package keeper

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/proc"
)

const (
	// name and guard tell a process that it is a keeper; both must be there, so that nobody becomes one by chance.
	name  = "tfpilot-keeper"
	guard = "TFPILOT_KEEPER"
	// socket is the descriptor of the line to the process that started it.
	socket = 3
	// killPatience is how long a process is killed that does not die, in the kernel on a file system that hangs, before it is
	// given up.
	killPatience = 5 * time.Second
	// reapEvery bounds how long a dead process stays.
	reapEvery = 200 * time.Millisecond
	// oomScore makes the kernel take a program before its pilot when memory is short.
	oomScore = 500
)

// A keeper has nothing to do with the program whose executable it is, and may not come into its main: called run_prompt, that
// would take it for a production worker. So it begins, and ends, before main; and no program can forget to ask for it.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) == 2 && os.Args[0] == name && os.Getenv(guard) != "" {
		syscall.Exit(keep(Containment(os.Args[1])))
	}
}

// kept is the state of a keeper. All of it happens on the first thread, where capabilities and the parent of programs belong to.
type kept struct {
	conn  line
	alone bool // process 1 of a namespace
	main  int  // 0 when nothing runs
	// ending says that SIGTERM was sent: what the program leaves has its grace then.
	ending bool
	over   bool // the program itself has ended
	ended  ended
	// read and written are what had been before the program began.
	read, written int64
	met           map[int]bool // killed beside the program
}

// keep is the life of a keeper.
func keep(c Containment) int {
	conn := blocking(socket)
	unix.CloseOnExec(socket)
	// Batch systems send their signals to everything. Handled ones, other than ignored ones, are not handed down to programs.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGALRM, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGXCPU, syscall.SIGPWR)
	if err := settle(c); err != nil {
		_ = send(conn, reply{Error: err.Error()})
		return 1
	}
	k := &kept{conn: conn, alone: c == Namespace, met: map[int]bool{}}
	if send(conn, reply{Ready: true}) != nil {
		return 0
	}
	for {
		k.reap()
		if !k.wait() {
			continue
		}
		var r request
		files, err := receive(conn, &r)
		switch {
		case err != nil: // nobody is there any more
			k.kill()
			return 0
		case r.Start != nil:
			k.start(*r.Start, files)
		case r.Signal == syscall.SIGKILL:
			k.kill()
		case r.Signal != 0:
			k.ending = true
			k.signal(r.Signal)
		}
	}
}

// wait waits for a request or the death of a child, of which the kernel tells this thread by SIGCHLD before all others. Should
// another thread get it, it shows a moment later.
func (k *kept) wait() (request bool) {
	timeout := int(reapEvery.Milliseconds())
	if k.main == 0 {
		timeout = -1
	}
	fds := []unix.PollFd{{Fd: socket, Events: unix.POLLIN}}
	n, _ := unix.Poll(fds, timeout)
	return n > 0
}

// settle makes this process what everything below it descends from.
func settle(c Containment) error {
	if c != Namespace {
		return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("process %d of its namespace, not 1", os.Getpid())
	}
	// Mounts of the node, such as those of an automounter, still come in; ours does not go out.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("making mounts our own: %w", err)
	}
	// Without a /proc of the namespace its processes would find others, or none, under their ids.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	// The right to mount was for that alone, and is not the program's.
	return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
}

// start starts the program. A failure is told; success shows by its end.
func (k *kept) start(p program, files []*os.File) {
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if k.main != 0 || len(files) != 3 {
		_ = send(k.conn, reply{Error: "a keeper keeps one program at a time, with its three streams", Errno: syscall.EINVAL})
		return
	}
	fds := make([]uintptr, len(files))
	for i, f := range files {
		fds[i] = f.Fd()
	}
	restore := offerFirst() // inherited; set afterwards it would be too late for what the program starts
	path, argv, attr := p.command()
	attr.Env, attr.Files = append(attr.Env, proc.Mark+"="+os.Getenv(proc.Mark)), fds
	attr.Sys = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	read, written, _ := proc.IO(os.Getpid())
	pid, err := syscall.ForkExec(path, argv, attr)
	restore()
	if err != nil {
		errno, _ := err.(syscall.Errno) //nolint:errorlint // it is one or nothing
		_ = send(k.conn, reply{Error: err.Error(), Errno: errno})
		return
	}
	k.read, k.written = read, written
	k.main, k.ending, k.over, k.ended, k.met = pid, false, false, ended{}, map[int]bool{}
}

// offerFirst makes this process one that the kernel kills readily, unless it is one already, and returns what takes that back.
func offerFirst() (restore func()) {
	const file = "/proc/self/oom_score_adj"
	before, err := os.ReadFile(file)
	if err != nil {
		return func() {}
	}
	if was, err := strconv.Atoi(strings.TrimSpace(string(before))); err != nil || was >= oomScore {
		return func() {}
	}
	_ = os.WriteFile(file, []byte(strconv.Itoa(oomScore)), 0)
	return func() { _ = os.WriteFile(file, before, 0) }
}

// reap takes the status of all that has died and reports when nothing is left.
func (k *kept) reap() {
	empty := k.collect()
	if k.main == 0 || !k.over {
		return
	}
	if !empty && !k.ending {
		k.kill()
		return
	}
	if empty {
		k.report()
	}
}

// collect reaps; empty says that there is nothing left to be reaped.
func (k *kept) collect() (empty bool) {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &usage)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return true
		case pid == 0:
			return false
		}
		k.ended.User += usage.Utime.Nano() / 1000
		k.ended.System += usage.Stime.Nano() / 1000
		k.ended.MaxRSSBytes = max(k.ended.MaxRSSBytes, usage.Maxrss*1024)
		if pid == k.main {
			k.ended.Status, k.over = status, true
		}
	}
}

// signal sends a signal to all below.
func (k *kept) signal(s syscall.Signal) {
	if k.alone {
		_ = syscall.Kill(-1, s) // all of the namespace but this process, in one stroke
		return
	}
	for _, pid := range proc.Descendants(os.Getpid()) {
		_ = syscall.Kill(pid, s)
	}
}

// kill kills until nothing is left below and reports the end of the program.
func (k *kept) kill() {
	for start := time.Now(); !k.collect(); {
		if time.Since(start) > killPatience {
			k.ended.Unkillable = true
			break
		}
		for _, pid := range proc.Descendants(os.Getpid()) {
			if pid != k.main {
				k.met[pid] = true
			}
		}
		k.signal(syscall.SIGKILL)
		waitForChild()
	}
	if k.main != 0 {
		k.report()
	}
}

// waitForChild returns when a child has died, or after a moment in which others may have been started.
func waitForChild() {
	fds := make([]unix.PollFd, 0, 8)
	for _, pid := range proc.Children(os.Getpid()) {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		if len(fds) == cap(fds) {
			break
		}
	}
	_, _ = unix.Poll(fds, 20)
	for _, f := range fds {
		_ = unix.Close(int(f.Fd))
	}
}

func (k *kept) report() {
	k.ended.LeftBehind = len(k.met)
	if read, written, ok := proc.IO(os.Getpid()); ok { // the kernel adds up here what belonged to those that were reaped
		k.ended.Read, k.ended.Written = read-k.read, written-k.written
	}
	_ = send(k.conn, reply{Ended: &k.ended})
	k.main = 0
}
