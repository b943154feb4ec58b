package proc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
)

// Mark is the variable by which a process is recognised as one of a tree.
const Mark = "TFPILOT_TREE"

// ownMark is what the marks of all trees of this process begin with, and no other one's do. It begins with the mark of the tree that
// this process is in, so that whoever ends the outer tree finds the inner ones too, even when the process that started them is gone.
var ownMark = os.Getenv(Mark) + rand.Text()

// Command is what to run. There is no shell anywhere.
type Command struct {
	// Path is the program; without a slash it is looked up in PATH.
	Path string
	Args []string
	// Env is the whole environment: nothing is inherited.
	Env []string
	Dir string
	// Stdin feeds the program; an *os.File is handed over as it is; nil is empty.
	Stdin io.Reader
	// Stdout and Stderr take what it prints; an *os.File is handed over as it is; nil discards.
	Stdout, Stderr io.Writer
	// Began is asked after the end, for a program that is only to start another one: it makes of the result that of the other one, and its
	// error says why that has not begun. A keeper asks; nil asks nothing.
	Began func(*Result) error
	// Grace is the time between SIGTERM and SIGKILL; 0 kills at once.
	Grace time.Duration
	// ExtraFiles become the descriptors from 3 on.
	ExtraFiles []*os.File
	// Name is what the program finds as its own name; empty is Path.
	Name string
	// Sys asks the kernel for more than a session of its own, such as namespaces; nil for nothing.
	Sys *syscall.SysProcAttr
	// DiesWithParent kills the program (not what it has started) when this process dies without a chance to end it. What
	// is to outlive a restart of its parent leaves it false.
	DiesWithParent bool
	// Terminal leaves the program in our session, with our terminal, for a program that a person talks to. What it has put into the
	// background there may stay.
	Terminal bool
	// StartsService says that what the program leaves behind when it ends by itself is a service that it was to start, and
	// stays. A service that keeps its starter's output writes to nobody from then on.
	StartsService bool
}

// Result is how a program ended.
type Result struct {
	// ExitCode is -1 when a signal ended it.
	ExitCode int
	// Signal is the name of that signal, or empty.
	Signal string
	// Ended says that we ended it, because of the context given to Start.
	Ended bool
	// LeftBehind is how many processes had to be killed after the program itself had ended.
	LeftBehind int

	Wall, User, System time.Duration
	// MaxRSSBytes is the largest resident set of any single process of the tree that was waited for. The kernel counts a
	// process from its fork, so that it is never below our own.
	MaxRSSBytes int64
}

// Process is a running program.
type Process struct {
	cmd     *exec.Cmd
	command Command
	mark    string
	started time.Time
	streams *Streams
	done    chan struct{}
	result  Result
	err     error
}

// Start starts a program; it ends when ctx does. A program that cannot be started is a failure of the site.
func Start(ctx context.Context, c Command) (*Process, error) {
	if err := becomeSubreaper(); err != nil {
		return nil, exitcode.New(exitcode.SiteResources, "preparing to start %s: %w", c.Path, err)
	}
	p := &Process{command: c, mark: ownMark + rand.Text(), done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...) //nolint:noctx // the context ends the whole tree, below, not the one process
	p.cmd.Dir, p.cmd.ExtraFiles = c.Dir, c.ExtraFiles
	if c.Name != "" {
		p.cmd.Args[0] = c.Name
	}
	p.cmd.Env = append(append([]string{}, c.Env...), Mark+"="+p.mark)
	sys := syscall.SysProcAttr{}
	if c.Sys != nil {
		sys = *c.Sys
	}
	sys.Setsid = !c.Terminal
	if c.DiesWithParent {
		// The kernel goes by the thread that forked; the runtime ends no thread before the process.
		sys.Pdeathsig = syscall.SIGKILL
	}
	p.cmd.SysProcAttr = &sys
	streams, err := Connect(c.Stdin, c.Stdout, c.Stderr)
	if err != nil {
		return nil, startError(c.Path, err)
	}
	p.streams = streams
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = streams.Child[0], streams.Child[1], streams.Child[2]
	p.started = time.Now()
	err = running.start(p.cmd, p.mark)
	streams.Started()
	if err != nil {
		streams.Close()
		return nil, startError(c.Path, err)
	}
	go p.wait(ctx)
	return p, nil
}

// Run starts a program and waits for it.
func Run(ctx context.Context, c Command) (Result, error) {
	p, err := Start(ctx, c)
	if err != nil {
		return Result{}, err
	}
	return p.Wait()
}

// PID is the program's process id, and that of its session.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when nothing is left of the tree.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when nothing is left of the tree and all it printed has been taken.
func (p *Process) Wait() (Result, error) {
	<-p.done
	return p.result, p.err
}

// startError says whose fault it is that a program does not start.
func startError(path string, err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return exitcode.New(exitcode.SiteResources, "starting %s: %w", path, err)
	default:
		return exitcode.New(exitcode.SiteNoProgram, "starting %s: %w", path, err)
	}
}

// wait ends the tree when the program or the context ends, whichever is first.
func (p *Process) wait(ctx context.Context) {
	defer close(p.done)
	ended := make(chan error, 1)
	go func() { ended <- running.wait(p.cmd) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		p.result.Ended = true
		err = p.end(ended)
	}
	p.result.Wall = time.Since(p.started)
	if p.command.StartsService && !p.result.Ended {
		p.release()
	} else {
		p.result.LeftBehind = p.killTree()
		running.gone(p.mark)
	}
	p.streams.Close()
	p.finish(err)
}

// end sends SIGTERM to the tree and waits for the grace, or less if all of the tree is gone before. Then it kills the program;
// the rest is left to killTree.
func (p *Process) end(ended <-chan error) error {
	if p.command.Grace > 0 {
		over := time.Now().Add(p.command.Grace)
		p.signalTree(syscall.SIGTERM)
		t := time.NewTimer(p.command.Grace)
		defer t.Stop()
		select {
		case err := <-ended:
			// A shell dies of SIGTERM at once; what it had started has its grace all the same.
			for alive, _ := p.orphans(); len(alive) > 0 && time.Now().Before(over); alive, _ = p.orphans() {
				waitBriefly(alive)
			}
			return err
		case <-t.C:
		}
	}
	_ = p.cmd.Process.Kill()
	return <-ended
}

func (p *Process) finish(err error) {
	state := p.cmd.ProcessState
	if state == nil {
		p.err = fmt.Errorf("waiting for %s: %w", p.command.Path, err)
		return
	}
	p.result.ExitCode = state.ExitCode()
	p.result.User, p.result.System = state.UserTime(), state.SystemTime()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.result.Signal = status.Signal().String()
	}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		p.result.MaxRSSBytes = usage.Maxrss * 1024
	}
}
