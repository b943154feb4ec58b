package keeper

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// Program is a program that was started under a keeper.
type Program struct {
	run    *running
	keeper int // its process id
	done   chan struct{}
	result Result
	err    error

	mu    sync.Mutex
	main  int   // process id of the program itself; 0 until it was looked for
	own   []int // what it had left to the keeper when it was settled
	swept time.Time
}

// Start starts a program, which ends when ctx does; see [Keepers.Run]. That it could not be started may show only by its end.
func (k *Keepers) Start(ctx context.Context, c proc.Command, l Limits) (*Program, error) {
	path, err := exec.LookPath(c.Path)
	if err != nil {
		return nil, exitcode.New(exitcode.SiteNoProgram, "starting %s: %w", c.Path, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, exitcode.New(exitcode.SiteNoProgram, "starting %s: %w", c.Path, err)
	}
	c.Path = path
	if l.MemoryBytes == 0 {
		l.MemoryBytes = k.memory
	}
	one, err := k.take(ctx)
	if err != nil {
		return nil, err
	}
	run, err := one.start(c, l)
	if err != nil {
		k.put(one)
		return nil, err
	}
	p := &Program{run: run, keeper: one.process.PID(), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.result, p.err = one.finish(ctx, run)
		if p.err == nil && c.Began != nil {
			err := c.Began(&p.result.Result)
			// Who takes the slot back, or passes a limit, does so however far it is.
			if p.result.Stopped == nil || errors.Is(p.result.Stopped, ErrTime) {
				p.err = err
			}
		}
		k.put(one)
	}()
	return p, nil
}

// Done is closed when nothing of the program is left.
func (p *Program) Done() <-chan struct{} { return p.done }

// Wait returns when nothing of the program is left and all that it printed has been taken.
func (p *Program) Wait() (Result, error) {
	<-p.done
	return p.result, p.err
}

// Lap is what the program took since the last time that it was asked for, see [Meter.Lap].
func (p *Program) Lap() Usage { return p.run.watch.meter.Lap() }

// findMain looks for the program itself: the first that its keeper has started.
func (p *Program) findMain() {
	if p.main == 0 {
		if all := proc.Children(p.keeper); len(all) > 0 {
			p.main = all[0]
		}
	}
}

// Settle says that what the program has started so far is part of it, and is not to be swept.
func (p *Program) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.findMain()
	p.own = proc.Children(p.keeper)
}

// Sweep kills what the program's work has left behind: processes whose parents have ended, with all that descends from them. It
// returns how many. It looks no more than ten times a second; what was left in between is found then.
func (p *Program) Sweep() (killed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.swept) < firstLook {
		return 0
	}
	p.swept = time.Now()
	for _, pid := range proc.Children(p.keeper) {
		if pid == p.main || slices.Contains(p.own, pid) {
			continue
		}
		for _, left := range append(proc.Descendants(pid), pid) {
			if killBelow(left, p.keeper) {
				killed++
			}
		}
	}
	return killed
}

// killBelow kills a process if it is, now that it cannot become another one, one that descends from another.
func killBelow(pid, ancestor int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	if s, ok := proc.Look(pid); !ok || s.Exiting || !slices.Contains(proc.Descendants(ancestor), pid) {
		return false
	}
	return unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0) == nil
}
