package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

// Containment is what holds the processes of a program together.
type Containment string

// The kinds of containment, see the package's documentation.
const (
	Auto      Containment = "auto"
	Namespace Containment = "namespace"
	Cgroup    Containment = "cgroup"
	Session   Containment = "session"
)

// Validate refuses what is none of them; empty is Auto.
func (c Containment) Validate() error {
	switch c {
	case "", Auto, Namespace, Cgroup, Session:
		return nil
	default:
		return exitcode.New(exitcode.Usage, "--containment %q is none of auto, namespace, cgroup, session", string(c))
	}
}

// Limits are what a program may take. Zero is no limit.
type Limits struct {
	// Time counts while this process runs: not while a batch system that suspends the job has stopped it with the program.
	Time time.Duration
	// MemoryBytes is of all its processes together, shared memory counted once; 0 is that of the keepers. It is looked at, more
	// often the closer it comes.
	MemoryBytes int64
	// Check is asked about once a second; its error ends the program and is Result.Stopped.
	Check func() error
	// Meter is told what the program takes; nil when nobody wants to know before the end.
	Meter *Meter
	// Sample, if not nil, is told what every look at the program has found; it is looked at more often for it. It must not block.
	Sample func(Sample)
}

// Sample is one look at a running program and what it has started.
type Sample struct {
	At time.Time
	// Bytes is the memory that all processes hold: proportional where it may be the most so far, resident otherwise.
	Bytes int64
	// CPU is the time of processors that was used so far.
	CPU       time.Duration
	Processes int
}

// Result is how a program ended, and what it took.
type Result struct {
	proc.Result
	// Stopped is why we ended it: [ErrTime], [ErrMemory], the error of Check, or the cause of the context's end. It is nil when
	// the program ended by itself.
	Stopped error
	// Ran is the part of Wall in which it could run, see Limits.Time.
	Ran time.Duration
	// PeakBytes is the most memory that its processes held together at a time: proportional set sizes where the kernel tells them,
	// resident ones else. Of a program too short to be looked at it is that of its largest process.
	PeakBytes int64
	// ReadBytes and WrittenBytes are those of all its processes, see [Usage].
	ReadBytes, WrittenBytes int64
	// Processes is how many were seen at once, at most.
	Processes int
	// OutOfMemory says that the kernel killed one of its processes because all together had reached their limit; SlotOutOfMemory
	// that it killed one in the group that this process is in meanwhile.
	OutOfMemory, SlotOutOfMemory bool
}

// What ends a program that went past a limit.
var (
	ErrTime   = errors.New("its time is over")
	ErrMemory = errors.New("it took more memory than it may")
)

// Keepers runs programs, each under a keeper of its own. It may be used from several goroutines.
type Keepers struct {
	wanted Containment
	memory int64

	mu     sync.Mutex
	used   Containment // empty until the first keeper is there
	why    []string    // what stronger ones were tried in vain
	idle   []*keeper
	closed bool
}

// New makes the keepers of programs that may all take as much memory; 0 is no limit. Where there is a control group for that the
// kernel enforces it. None is started yet.
func New(c Containment, memoryBytes int64) (*Keepers, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c == "" {
		c = Auto
	}
	return &Keepers{wanted: c, memory: memoryBytes}, nil
}

// Containment is what holds programs together here, and why nothing stronger. It starts the first keeper to know.
func (k *Keepers) Containment(ctx context.Context) (c Containment, why string, err error) {
	one, err := k.take(ctx)
	if err != nil {
		return "", "", err
	}
	k.put(one)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used, strings.Join(k.why, "; "), nil
}

// Run runs a program until nothing of it is left. Of the command, StartsService, ExtraFiles, Sys and DiesWithParent mean nothing
// here: it always dies with this process. A program that cannot be started is a failure of the site.
func (k *Keepers) Run(ctx context.Context, c proc.Command, l Limits) (Result, error) {
	p, err := k.Start(ctx, c, l)
	if err != nil {
		return Result{}, err
	}
	return p.Wait()
}

// take gives an idle keeper, or starts one.
func (k *Keepers) take(ctx context.Context) (*keeper, error) {
	one, used := k.pop()
	for ; one != nil; one, used = k.pop() {
		if !one.gone() {
			return one, nil
		}
		one.close() // somebody killed it while it was idle
	}
	if used != "" {
		return start(ctx, used, k.memory)
	}
	candidates := []Containment{k.wanted}
	if k.wanted == Auto {
		candidates = []Containment{Namespace, Cgroup, Session}
	}
	var why []string
	var errs []error
	for _, c := range candidates {
		one, err := start(ctx, c, k.memory)
		if err != nil {
			why = append(why, fmt.Sprintf("no %s: %v", c, plain(err)))
			errs = append(errs, err)
			continue
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.used == "" {
			k.used, k.why = c, why
		}
		return one, nil
	}
	err := errors.Join(errs...)
	if k.wanted != Auto {
		return nil, exitcode.New(exitcode.BadConfig, "--containment %s does not work on this node, use auto: %w", k.wanted, err)
	}
	return nil, exitcode.New(exitcode.SiteResources, "starting the keeper of a payload: %w", err)
}

// plain is what a person can do something with: what the kernel said, without what we were about to do.
func plain(err error) error {
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case !ok:
		return err
	case errno == syscall.ENOSPC:
		return errors.New("the kernel makes no more of them (user.max_user_namespaces)")
	case errno == syscall.EPERM || errno == syscall.EACCES:
		return errors.New("not permitted on this node")
	}
	return errno
}

// pop gives an idle keeper, nil for none, and what holds programs together as far as that is known.
func (k *Keepers) pop() (one *keeper, used Containment) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.idle); n > 0 {
		one, k.idle = k.idle[n-1], k.idle[:n-1]
	}
	return one, k.used
}

// put gives a keeper back, or ends it when it is of no more use.
func (k *Keepers) put(one *keeper) {
	k.mu.Lock()
	keep := one.usable && !k.closed
	if keep {
		k.idle = append(k.idle, one)
	}
	k.mu.Unlock()
	if !keep {
		one.close()
	}
}

// Close ends the keepers. Programs that still run keep theirs until they have ended.
func (k *Keepers) Close() {
	k.mu.Lock()
	idle := k.idle
	k.idle, k.closed = nil, true
	k.mu.Unlock()
	var all sync.WaitGroup
	for _, one := range idle {
		all.Go(one.close)
	}
	all.Wait()
}

// namespaces are what the kernel is to make for a keeper that is process 1 of one. Ordinary users have the right only in a
// namespace of users of their own, in which they stay who they are.
func namespaces() *syscall.SysProcAttr {
	const sysAdmin = 21 // CAP_SYS_ADMIN, to mount /proc
	sys := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		sys.Cloneflags |= syscall.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		sys.AmbientCaps = []uintptr{sysAdmin}
	}
	return sys
}
