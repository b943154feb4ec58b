package proc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
)

// Mark is the variable by which a process is recognised as one of a tree.
const Mark = "TFPILOT_TREE"

// pipeBytes is what a pipe surely takes while nobody reads it: the kernel gives it 64 KiB, or a page when the user has many.
const pipeBytes = 4096

// Command is what to run. There is no shell anywhere.
type Command struct {
	// Path is the program; without a slash it is looked up in PATH.
	Path string
	Args []string
	// Env is the whole environment: nothing is inherited.
	Env []string
	Dir string
	// Stdin feeds the program; nil is empty.
	Stdin io.Reader
	// Stdout and Stderr take what it prints; an *os.File is handed over as it is; nil discards.
	Stdout, Stderr io.Writer
	// Grace is the time between SIGTERM and SIGKILL; 0 kills at once.
	Grace time.Duration
	// ExtraFiles become the descriptors from 3 on.
	ExtraFiles []*os.File
	// DiesWithParent kills the program (not what it has started) when this process dies without a chance to end it. What
	// is to outlive a restart of its parent leaves it false.
	DiesWithParent bool
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
	files   []*os.File // our ends, closed when the program has ended
	streams sync.WaitGroup
	done    chan struct{}
	result  Result
	err     error
}

// Start starts a program; it ends when ctx does. A program that cannot be started is a failure of the site.
func Start(ctx context.Context, c Command) (*Process, error) {
	if err := becomeSubreaper(); err != nil {
		return nil, exitcode.New(exitcode.SiteResources, "preparing to start %s: %w", c.Path, err)
	}
	// A tree within a tree carries the marks of both, so that whoever ends the outer one finds the inner one too, even when
	// the process that started it is gone.
	p := &Process{command: c, mark: os.Getenv(Mark) + rand.Text(), done: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...) //nolint:noctx // the context ends the whole tree, below, not the one process
	p.cmd.Dir, p.cmd.ExtraFiles = c.Dir, c.ExtraFiles
	p.cmd.Env = append(append([]string{}, c.Env...), Mark+"="+p.mark)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.DiesWithParent {
		// The kernel goes by the thread that forked; the runtime ends no thread before the process.
		p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	theirs, err := p.connect()
	if err == nil {
		p.started = time.Now()
		err = running.start(p.cmd, p.mark)
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		p.closeFiles()
		p.streams.Wait()
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

// connect makes pipes for what is neither a file nor nil. Files are used rather than os/exec's own copying, which waits for
// whoever still holds the other end: the tree is ended first, then the pipes run dry by themselves.
func (p *Process) connect() (theirs []*os.File, err error) {
	out := func(w io.Writer) (*os.File, error) {
		if w == nil {
			return nil, nil
		}
		if f, ok := w.(*os.File); ok {
			return f, nil
		}
		r, child, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, child)
		p.files = append(p.files, r)
		p.streams.Go(func() { _, _ = io.Copy(w, r) })
		return child, nil
	}
	stdout, err := out(p.command.Stdout)
	if err != nil {
		return theirs, err
	}
	stderr := stdout
	if p.command.Stderr != p.command.Stdout {
		if stderr, err = out(p.command.Stderr); err != nil {
			return theirs, err
		}
	}
	// A nil *os.File in the interface would not be nil.
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	if stderr != nil {
		p.cmd.Stderr = stderr
	}
	if p.command.Stdin != nil {
		child, w, err := os.Pipe()
		if err != nil {
			return theirs, err
		}
		theirs = append(theirs, child)
		p.cmd.Stdin = child
		if r, ok := p.command.Stdin.(*bytes.Reader); ok && r.Len() <= pipeBytes {
			_, err := io.Copy(w, r) // there is room for all of it: nobody needs to wait
			return theirs, errors.Join(err, w.Close())
		}
		p.files = append(p.files, w)
		p.streams.Go(func() {
			_, _ = io.Copy(w, p.command.Stdin) // a program that does not read its input is no error
			_ = w.Close()
		})
	}
	return theirs, nil
}

func (p *Process) closeFiles() {
	for _, f := range p.files {
		_ = f.Close()
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
	// Nobody of the tree holds the pipes any more. Should somebody else do (a descriptor passed over a socket), the time is
	// bounded.
	deadline := time.Now().Add(2 * time.Second)
	for _, f := range p.files {
		_ = f.SetReadDeadline(deadline)
		_ = f.SetWriteDeadline(time.Now())
	}
	p.streams.Wait()
	p.closeFiles()
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
