package eicrecon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/pause"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

const (
	startupTimeout = 3 * time.Minute
	requestTimeout = 5 * time.Minute
	// lookForReady is the time between two looks whether a daemon listens.
	lookForReady = 20 * time.Millisecond
	// step is how often the time of a daemon is counted, stood a pause between two looks that no load explains: the batch system has
	// stopped this process, and the daemon with it.
	step  = 250 * time.Millisecond
	stood = 5 * time.Second
	// lastBreath is how long a daemon that has hung up may take to be gone.
	lastBreath = 5 * time.Second
)

// Why the work of a daemon comes to an end.
var (
	errGone  = errors.New("the daemon is gone")
	errOver  = errors.New("its time is over")
	errThrow = errors.New("the daemon is thrown away")
)

// daemon is a reconstruction that stays in a slot.
type daemon struct {
	choice
	shown   []string // folders of files that it can read, in a container
	program *keeper.Program
	end     context.CancelCauseFunc
	socket  socket
	out     [2]*printed
	between payload.Log
	asked   int

	meter keeper.Meter
	guard atomic.Pointer[payload.Guard] // of the slice that it works on
}

// check holds the slice that the daemon works on to its limits.
func (d *daemon) check() error {
	if g := d.guard.Load(); g != nil {
		return g.Check()
	}
	return nil
}

// start starts a daemon and waits until it answers. Of one that does not, what it printed is kept.
func (p *Payload) start(ctx context.Context, s payload.Slot, ch choice, shown []string) (d *daemon, logs []string, err error) {
	d = &daemon{choice: ch, shown: shown, between: s.Log()}
	if err := p.begin(ctx, s, d); err != nil {
		d.clean()
		d.between.Close(false)
		return nil, nil, err
	}
	if err := p.ready(ctx, d); err != nil {
		return nil, d.bury(true), err
	}
	d.program.Settle()
	return d, nil, nil
}

// begin starts the program.
func (p *Payload) begin(ctx context.Context, s payload.Slot, d *daemon) (err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil { // the one before may have removed it
		return exitcode.New(exitcode.SiteNoSpace, "making the payload's folder: %w", err)
	}
	sockets := cmp.Or(p.spec.EICrecon.SocketDir, os.TempDir())
	p.sweep.Do(func() { sweepSockets(sockets) })
	if d.socket, err = newSocket(sockets); err != nil {
		return err
	}
	for i, log := range []io.Writer{d.between.Stdout, d.between.Stderr} {
		if d.out[i], err = newPrinted(log); err != nil {
			return err
		}
	}
	argv := p.commandLine(d.choice, "-Ppodio:managed_socket_path="+d.socket.path)
	binds := []container.Bind{{Source: d.socket.folder.Path, Target: d.socket.folder.Path, Write: true}}
	for _, dir := range d.shown {
		binds = append(binds, container.ReadOnly(dir))
	}
	own, end := context.WithCancelCause(context.WithoutCancel(ctx))
	d.end = end
	d.program, err = p.launch(own, s, d.choice, proc.Command{
		Path: argv[0], Args: argv[1:], Dir: s.Dir, Stdout: d.out[0].tap.Theirs, Stderr: d.out[1].tap.Theirs,
	}, keeper.Limits{Meter: &d.meter, Check: d.check}, binds...)
	if err != nil {
		end(nil)
	}
	return err
}

// clean removes what a daemon has outside of its slot.
func (d *daemon) clean() {
	for _, out := range d.out {
		if out != nil {
			out.close()
		}
	}
	d.socket.remove()
}

// ready waits until the daemon greets.
func (p *Payload) ready(ctx context.Context, d *daemon) error {
	limit := cmp.Or(p.spec.EICrecon.StartupTimeout, startupTimeout)
	watched, stop := d.watch(ctx, limit)
	defer stop()
	var err error
	for watched.Err() == nil {
		var l *link
		var again error
		if l, again = dial(watched, d.socket.path); again == nil {
			return l.close()
		}
		if watched.Err() == nil {
			err = again
		}
		if errors.Is(err, errProtocol) {
			return exitcode.New(exitcode.PayloadBadResult, "%s: its socket: %w", p.spec.Name, err)
		}
		_ = pause.For(watched, lookForReady)
	}
	switch why := context.Cause(watched); {
	case errors.Is(why, errGone):
		return p.epitaph(d, "before it was ready")
	case errors.Is(why, errOver):
		return slow("startup_timeout", "%s was not ready within its startup_timeout of %s: %w%s", p.spec.Name, limit, err, payload.LastWords(d.out[1].last()))
	default:
		return p.spec.Stopped(why, 0)
	}
}

// watch ends a context when the daemon is gone, or when it has taken its time.
func (d *daemon) watch(ctx context.Context, limit time.Duration) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for left := limit; left > 0; {
			looked, wait := time.Now(), min(left, step)
			t := time.NewTimer(wait)
			select {
			case <-d.program.Done():
				cancel(errGone)
			case <-watched.Done():
			case <-t.C:
			}
			t.Stop()
			if watched.Err() != nil {
				return
			}
			if passed := time.Since(looked); passed < wait+stood {
				wait = passed
			}
			left -= wait
		}
		cancel(errOver)
	})
	return watched, func() { cancel(nil); watching.Wait() }
}

// epitaph says why the daemon is gone, without having been told to go.
func (p *Payload) epitaph(d *daemon, when string) error {
	res, err := d.program.Wait()
	if err != nil {
		return err
	}
	if err := p.verdict(d.choice, res, d.out[1].last()); err != nil {
		return err
	}
	return exitcode.New(exitcode.PayloadCrashed, "%s ended %s%s", p.spec.Name, when, payload.LastWords(d.out[1].last()))
}

// bury ends the daemon, waits until nothing of it is left, and returns the log that is kept.
func (d *daemon) bury(failed bool) []string {
	d.end(errThrow)
	_, _ = d.program.Wait()
	d.clean()
	return d.between.Close(failed)
}

// gone says that the daemon has ended.
func (d *daemon) gone() bool {
	select {
	case <-d.program.Done():
		return true
	default:
		return false
	}
}

// sees says that a file is where the daemon can read it; it was told when it was started.
func (d *daemon) sees(input string) bool {
	if d.image == "" || !filepath.IsAbs(input) {
		return true
	}
	for _, dir := range d.shown {
		if dir != "" && strings.HasPrefix(input, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}

// work has the daemon work on one slice. sound says that it may be asked again.
func (p *Payload) work(ctx context.Context, d *daemon, r payload.Request, name string) (events int, sound bool, err error) {
	asked := request{r.Input, filepath.Join(r.Dir, name), r.Slice.Content.Start.Int64(), r.Slice.Content.Frames()}
	text, err := json.Marshal(asked)
	if err != nil {
		return 0, true, exitcode.New(exitcode.Internal, "encoding a request: %w", err)
	}
	limit, key := cmp.Or(p.spec.EICrecon.RequestTimeout, requestTimeout), "request_timeout"
	if limit > p.spec.Timeout {
		limit, key = p.spec.Timeout, "timeout"
	}
	watched, stop := d.watch(ctx, limit)
	defer stop()
	d.guard.Store(p.spec.Guard(r.Dir, &d.meter))
	defer d.guard.Store(nil)
	said, err := d.ask(watched, text)
	if err != nil && watched.Err() != nil && !errors.Is(err, errProtocol) {
		err = context.Cause(watched)
	}
	switch {
	case err == nil:
		sound, err = p.judge(said, asked)
		return asked.Events, sound, err
	case errors.Is(err, errProtocol):
		return 0, false, exitcode.New(exitcode.PayloadBadResult, "%s: its reply: %w", p.spec.Name, err)
	case errors.Is(err, errOver):
		return 0, false, slow(key, "%s did not answer within %s, its %s", p.spec.Name, limit, key)
	case ctx.Err() != nil:
		return 0, false, p.spec.Stopped(context.Cause(ctx), 0)
	}
	// The line is cut. A daemon that is gone says more by its end.
	if !errors.Is(err, errGone) && pause.For(watched, lastBreath) == nil {
		return 0, false, exitcode.New(exitcode.PayloadBadResult, "%s hung up instead of answering: %w", p.spec.Name, err)
	}
	if errors.Is(context.Cause(watched), errGone) {
		err := p.epitaph(d, "instead of answering")
		if end, _ := d.program.Wait(); end.Stopped == nil && !end.OutOfMemory {
			err = &lostError{err}
		}
		return 0, false, err
	}
	return 0, false, p.spec.Stopped(context.Cause(watched), 0)
}

// slow is a failure for want of time, which could be given.
func slow(key, format string, args ...any) error {
	return exitcode.WithNext(exitcode.New(exitcode.PayloadTimeout, format, args...), "raise "+key+" in its TOML, or see in its log what it waits for")
}

// lostError is that of a slice whose daemon died of it, or of an earlier one.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

func (d *daemon) ask(ctx context.Context, text []byte) ([]byte, error) {
	l, err := dial(ctx, d.socket.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.close() }()
	return l.ask(ctx, text)
}

// printsTo has what the daemon prints go to a log; it returns what was printed before.
func (d *daemon) printsTo(stdout, stderr io.Writer) (out, errs string) {
	return d.out[0].turn(stdout), d.out[1].turn(stderr)
}
