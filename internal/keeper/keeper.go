package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/cgroup"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// answerPatience is how long a keeper may take to become ready, or to kill, before it is killed itself. It is more than it
// takes to give up a process that cannot die.
const (
	answerPatience = killPatience + 10*time.Second
	// idlePatience is for one that has nothing to end.
	idlePatience = 2 * time.Second
)

// keeper is a keeper as its starter sees it.
type keeper struct {
	process *proc.Process
	conn    *net.UnixConn
	group   *cgroup.Group // nil without one
	cancel  context.CancelFunc
	// usable says that it is ready for another program, stuck that it holds a process that cannot be killed.
	usable, stuck bool
}

// start starts a keeper. It outlives the context, whose values and end are of the program that it is started for.
func start(ctx context.Context, c Containment, memory int64) (*keeper, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	k := &keeper{conn: ours}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.cancel = cancel
	if c == Cgroup || memory > 0 {
		group, err := cgroup.Make(memory)
		if err == nil {
			k.group = group
		} else if c == Cgroup {
			_ = theirs.Close()
			k.close()
			return nil, err
		}
	}
	command := proc.Command{
		Path: "/proc/self/exe", Name: name, Args: []string{string(c)}, Env: []string{guard + "=1", "GOMAXPROCS=1"},
		ExtraFiles: []*os.File{theirs}, Dir: "/", // it holds no file system that is to go away
	}
	if c == Namespace {
		// The others outlive us for a moment, to end what they keep.
		command.Sys, command.DiesWithParent = namespaces(), true
	}
	k.process, err = proc.Start(own, command)
	_ = theirs.Close()
	if err == nil && k.group != nil {
		err = k.group.Add(k.process.PID())
	}
	if err == nil {
		err = k.ready()
	}
	if err != nil {
		k.close()
		return nil, err
	}
	k.usable = true
	return k, nil
}

// ready waits for the keeper's first word.
func (k *keeper) ready() error {
	if err := k.conn.SetReadDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	var first reply
	if _, err := receive(k.conn, &first); err != nil {
		return fmt.Errorf("waiting for the keeper: %w", err)
	}
	if !first.Ready {
		return errors.New(first.Error)
	}
	return k.conn.SetReadDeadline(time.Time{})
}

// gone says that an idle keeper is not there any more: its end of the line is closed. It says nothing by itself.
func (k *keeper) gone() bool {
	raw, err := k.conn.SyscallConn()
	if err != nil {
		return true
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return err != nil || n > 0
}

// close ends a keeper, and with it all that it keeps. One that does not end by itself is killed. The kernel may hold on to it even
// then, as long as a process of its namespace hangs in a file system: nobody waits for that.
func (k *keeper) close() {
	patience, burial := answerPatience, killPatience+time.Second
	if k.usable || k.stuck {
		patience = idlePatience
	}
	if k.usable {
		burial = idlePatience
	}
	_ = k.conn.Close()
	if k.process != nil && !k.endsWithin(patience) {
		k.cancel()
		k.endsWithin(burial)
	}
	k.cancel()
	if k.group != nil {
		_ = k.group.Close() // what is left of it is removed by the next one
	}
}

// endsWithin waits for the end of the keeper.
func (k *keeper) endsWithin(patience time.Duration) bool {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-k.process.Done():
		return true
	case <-t.C:
		return false
	}
}

// start has the keeper start a program. What came of it shows by finish.
func (k *keeper) start(c proc.Command, l Limits) (*running, error) {
	k.usable = false
	streams, err := proc.Connect(c.Stdin, c.Stdout, c.Stderr)
	if err != nil {
		k.usable = true
		return nil, exitcode.New(exitcode.SiteResources, "starting %s: %w", c.Path, err)
	}
	r := &running{command: c, streams: streams, before: k.oomKills(), started: time.Now(), replies: make(chan reply, 1), watch: newWatch(k.process.PID(), l)}
	err = send(k.conn, request{Start: newProgram(c)}, streams.Child[:]...)
	streams.Started()
	if err != nil {
		streams.Close()
		return nil, exitcode.New(exitcode.SiteResources, "starting %s: telling its keeper: %w", c.Path, err)
	}
	go func() {
		var answer reply
		if _, err := receive(k.conn, &answer); err != nil {
			answer = reply{Error: err.Error()}
		}
		r.replies <- answer
	}()
	if k.limited() {
		r.watch.limits.MemoryBytes = 0 // the kernel looks
		k.group.Watch()
	}
	return r, nil
}

// running is a program that a keeper runs.
type running struct {
	command proc.Command
	streams *proc.Streams
	before  int64 // processes that the kernel had killed for want of memory
	started time.Time
	replies chan reply
	watch   *watch
}

// finish waits for the end of a program that was started.
func (k *keeper) finish(ctx context.Context, p *running) (Result, error) {
	defer p.streams.Close()
	res := Result{}
	r := k.wait(ctx, p.command.Grace, p.watch, p.replies, &res)
	res.Wall = time.Since(p.started)
	switch {
	case r.Ended != nil:
		k.usable, k.stuck = !r.Ended.Unkillable, r.Ended.Unkillable
		r.Ended.fill(&res)
	case r.Errno != 0:
		k.usable = true
		return Result{}, startFailure(p.command, r.Errno)
	default:
		// The keeper was killed: by the program, by somebody, by a kernel out of memory. What it kept goes with it.
		res.ExitCode, res.Signal = -1, syscall.SIGKILL.String()
		k.close()
	}
	p.watch.finish(&res)
	if k.oomKills() > p.before {
		res.OutOfMemory = k.limited() && k.group.Reached()
		res.SlotOutOfMemory = !res.OutOfMemory
	}
	return res, nil
}

// wait waits for the end of the program, and brings it about when the context ends or a limit is passed.
func (k *keeper) wait(ctx context.Context, grace time.Duration, w *watch, replies <-chan reply, res *Result) reply {
	next := time.NewTimer(w.wait)
	defer next.Stop()
	done := ctx.Done()
	stop := func(why error, grace time.Duration) {
		done, res.Stopped, res.Ended = nil, why, true
		signal, patience := syscall.SIGTERM, grace
		if grace <= 0 {
			signal, patience = syscall.SIGKILL, answerPatience
		}
		_ = send(k.conn, request{Signal: signal}) // a keeper that is gone shows by its reply
		next.Reset(patience)
	}
	killed := false
	for {
		select {
		case r := <-replies:
			return r
		case <-done:
			stop(context.Cause(ctx), grace)
			killed = grace <= 0
		case <-next.C:
			switch {
			case res.Stopped == nil:
				wait, why := w.look()
				if why == nil {
					next.Reset(wait)
					continue
				}
				if errors.Is(why, ErrMemory) {
					grace = 0 // there is no time to lose: it takes the memory of others
				}
				stop(why, grace)
				killed = grace <= 0
			case !killed:
				killed = true
				stop(res.Stopped, 0)
			default:
				k.cancel() // it does not answer: its own end shows as its reply
			}
		}
	}
}

// limited says that the kernel enforces a limit.
func (k *keeper) limited() bool { return k.group != nil && k.group.Limited() }

// oomKills is how many processes the kernel has killed for want of memory, in the slot and in the group.
func (k *keeper) oomKills() int64 {
	n := cgroup.OwnOOMKills()
	if k.group != nil {
		n += k.group.OOMKills()
	}
	return n
}

// fill brings what the keeper says into the result.
func (e *ended) fill(res *Result) {
	res.ExitCode = e.Status.ExitStatus()
	if e.Status.Signaled() {
		res.Signal = e.Status.Signal().String()
	}
	res.LeftBehind = e.LeftBehind
	res.User, res.System = time.Duration(e.User)*time.Microsecond, time.Duration(e.System)*time.Microsecond
	res.MaxRSSBytes, res.ReadBytes, res.WrittenBytes = e.MaxRSSBytes, e.Read, e.Written
}

// socketPair is a line between two processes.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a line to a keeper: %w", err)
	}
	f, theirs := os.NewFile(uintptr(fds[0]), "keeper"), os.NewFile(uintptr(fds[1]), "keeper")
	conn, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("making a line to a keeper: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}
