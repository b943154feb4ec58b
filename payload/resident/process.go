package resident

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// kept of what is printed, head and tail each, in bytes.
const kept = 16 << 10

// process is one that stays.
type process struct {
	spec    payload.Program
	home    string
	program *keeper.Program
	meter   keeper.Meter
	end     context.CancelCauseFunc // ends it with SIGTERM, and SIGKILL after its grace
	stdin   *os.File
	stdout  *os.File
	printed *proc.Tap
	idle    io.Writer     // where it prints to while there is no slice
	words   *proc.Capture // of what it printed then
	log     payload.Log
	ended   chan struct{} // closed when all of it is gone
	silent  chan struct{} // closed when its stdout is at its end

	first <-chan said // what it says before it is ready, until heard is called
	heard func()

	// gone is closed when it gets no further slice; why says the reason in words.
	gone chan struct{}

	mu    sync.Mutex
	why   string
	ready bool
	asked chan<- said     // takes what it says; nil while nobody has asked
	over  <-chan struct{} // closed when nobody listens to asked any more
	logs  []string        // set when ended is closed

	// Of whoever has the slot's turn.
	slices  int
	due     bool            // it was to be replaced
	failed  map[string]bool // slices that it has worked on in vain
	weighed time.Time
}

// said is a line of a process, or what was wrong with it.
type said struct {
	line line
	err  error
}

// start starts a process in a slot. It is not ready yet.
func start(ctx context.Context, spec payload.Program, slot payload.Slot) (*process, error) {
	argv, err := spec.CommandLine(slot)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(slot.Dir, 0o700); err != nil { // it may have been removed by the one before
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the payload's folder: %w", err)
	}
	home, err := os.MkdirTemp(slot.Dir, "home-")
	if err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the payload's folder: %w", err)
	}
	var pipes pipes
	defer pipes.closeTheirs()
	p := &process{
		spec: spec, home: home, words: proc.NewCapture(kept, kept), log: slot.Log(), ended: make(chan struct{}), silent: make(chan struct{}),
		gone: make(chan struct{}), failed: map[string]bool{},
	}
	p.idle = io.MultiWriter(p.words, p.log.Stderr)
	p.stdin, p.stdout = pipes.to(), pipes.from()
	if pipes.err == nil {
		p.printed, pipes.err = proc.NewTap(p.idle)
	}
	if pipes.err != nil {
		pipes.closeOurs()
		p.forget()
		return nil, exitcode.New(exitcode.SiteResources, "starting %s: %w", argv[0], pipes.err)
	}
	own, end := context.WithCancelCause(context.WithoutCancel(ctx)) // it outlives the slices, and the wish for the first of them
	p.end = end
	p.program, err = slot.Start(own, proc.Command{
		Path: argv[0], Args: argv[1:], Dir: home, Env: spec.Environment(slot, home), Grace: spec.Grace,
		Stdin: pipes.theirs[0], Stdout: pipes.theirs[1], Stderr: p.printed.Theirs,
	}, keeper.Limits{Meter: &p.meter})
	if err != nil {
		end(nil)
		pipes.closeOurs()
		p.printed.Close(time.Now())
		p.forget()
		return nil, err
	}
	p.first, p.heard = p.ask() // before it can say that it is ready
	go p.listen()
	go p.bury()
	return p, nil
}

// forget removes what was made for a process that did not come to be.
func (p *process) forget() {
	p.log.Close(false)
	_ = os.RemoveAll(p.home)
}

// bury waits for the end of the process and removes what is left of it.
func (p *process) bury() {
	res, err := p.program.Wait()
	switch {
	case err != nil:
		p.retire(err.Error())
	case res.Signal != "":
		p.retire("it was ended by a signal, " + res.Signal)
	default:
		p.retire(fmt.Sprintf("it ended with status %d", res.ExitCode))
	}
	p.end(nil)
	// Should somebody else hold them, by a descriptor passed over a socket, the time is bounded.
	deadline := time.Now().Add(deathTime)
	_ = p.stdout.SetReadDeadline(deadline)
	<-p.silent // all that it said has been heard
	p.printed.Close(deadline)
	_, _ = p.stdin.Close(), p.stdout.Close()
	p.mu.Lock()
	failed := err != nil || !p.ready || res.Stopped == nil && (res.Signal != "" || res.ExitCode != 0)
	p.logs = p.log.Close(failed)
	p.mu.Unlock()
	_ = os.RemoveAll(p.home) // at the latest it goes with the slot's folder
	close(p.ended)
}

// listen hears what the process says, until its stdout is closed. What it says while nobody has asked makes it unfit for another
// slice: nobody could tell what the next answer belongs to.
func (p *process) listen() {
	defer close(p.silent)
	lines := bufio.NewReaderSize(p.stdout, 64<<10)
	for {
		l, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return
		}
		if !p.tell(said{l, err}) && (err != nil || !l.Alive) {
			p.retire(errUnasked.Error())
			p.end(errUnasked)
		}
		if err != nil { // what follows could be the rest of anything; it is not to stall, should it have more to say
			_, _ = io.Copy(io.Discard, p.stdout)
			return
		}
	}
}

var (
	errUnasked  = errors.New("it spoke without having been asked")
	errSilent   = errors.New("it says nothing any more")
	errClosed   = errors.New("it closed its stdout")
	errNotReady = errors.New("it did not become ready")
)

// tell hands what was said to whoever has asked; false when nobody has.
func (p *process) tell(s said) bool {
	p.mu.Lock()
	asked, over := p.asked, p.over
	p.mu.Unlock()
	if asked == nil {
		return false
	}
	select {
	case asked <- s:
		return true
	case <-over:
		return false
	}
}

// ask begins to listen, until what it returns is called.
func (p *process) ask() (answers <-chan said, stop func()) {
	c, over := make(chan said), make(chan struct{})
	p.mu.Lock()
	p.asked, p.over = c, over
	p.mu.Unlock()
	return c, func() { // before the process is ended: whoever has something to say would wait for ever
		p.mu.Lock()
		p.asked = nil
		p.mu.Unlock()
		close(over)
	}
}

// retire has the process get no further slice; the first reason counts.
func (p *process) retire(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why == "" {
		p.why = why
		close(p.gone)
	}
}

// fit says that it may get another slice.
func (p *process) fit() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// heavy says that it holds more memory than it should between two slices. It is looked at once a second at most.
func (p *process) heavy(limit int64) bool {
	if time.Since(p.weighed) < look {
		return false
	}
	p.weighed = time.Now()
	return p.meter.Held() > limit
}

// reason is why it gets no further slice.
func (p *process) reason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// kill ends it, and returns when all of it is gone.
func (p *process) kill(why error) {
	p.retire(why.Error())
	p.end(why)
	<-p.ended
}

// dismiss ends it in good order: it has its grace to end by itself when it finds its stdin closed, and then as long after SIGTERM.
func (p *process) dismiss(why error) {
	p.retire(why.Error())
	_ = p.stdin.Close()
	t := time.NewTimer(p.spec.Grace)
	defer t.Stop()
	select {
	case <-p.ended:
	case <-t.C:
		p.kill(why)
	}
}

// becomeReady waits until the process says that it is. One that does not become it is ended.
func (p *process) becomeReady(ctx context.Context) error {
	err := p.awaitReady(ctx)
	switch {
	case err == nil:
		p.program.Settle()
		p.meter.Lap() // what its start took is not the first slice's
		p.mu.Lock()
		p.ready = true
		p.mu.Unlock()
		return nil
	case errors.Is(err, errSilent):
		return p.diedUnready()
	default:
		p.kill(errNotReady)
		return err
	}
}

func (p *process) awaitReady(ctx context.Context) error {
	defer p.heard()
	limit := p.spec.Resident.StartupTimeout
	c := newClock(limit)
	defer c.stop()
	for {
		select {
		case s := <-p.first:
			switch {
			case s.err != nil:
				return exitcode.New(exitcode.PayloadBadResult, "%s said before it was ready: %w; stdout is for the protocol, all else belongs on stderr", p.spec.Name, s.err)
			case s.line.Alive:
			case s.line.Ready == nil:
				return exitcode.New(exitcode.PayloadBadResult, "%s answered before it was ready and before it was asked", p.spec.Name)
			case *s.line.Ready:
				return nil
			default:
				return p.refused(s.line)
			}
		case <-p.silent:
			return errSilent
		case <-ctx.Done():
			return exitcode.New(exitcode.Interrupted, "%s was ended before it was ready: %w", p.spec.Name, context.Cause(ctx))
		case <-c.timer.C:
			if late, _ := c.tick(limit, 0); late {
				return exitcode.New(exitcode.PayloadTimeout, "%s was not ready after %s (startup_timeout)%s", p.spec.Name, limit, payload.LastWords(p.words.String()))
			}
		}
	}
}

// refused is what a process says that will not be ready.
func (p *process) refused(l line) error {
	status := exitcode.PayloadFailed.Code
	if l.Status != nil {
		status = *l.Status
	}
	return fmt.Errorf("not ready: %w", p.spec.StatusError(status, l.Message))
}

// diedUnready is what the end of a process means that was not ready yet.
func (p *process) diedUnready() error {
	res, err := p.death()
	if err != nil {
		return err
	}
	words := p.words.String()
	if res.Signal == "" && res.Stopped == nil {
		const notExecutable, notFound = 126, 127 // of shells, env and the dynamic linker
		switch res.ExitCode {
		case notExecutable, notFound:
			return exitcode.New(exitcode.SiteNoProgram, "%s could not start: status %d%s", p.spec.Name, res.ExitCode, payload.LastWords(words))
		case 0:
			return exitcode.New(exitcode.PayloadFailed, "%s ended with status 0 before it was ready%s", p.spec.Name, payload.LastWords(words))
		}
	}
	if errors.Is(res.Stopped, errClosed) {
		return exitcode.New(exitcode.PayloadFailed, "%s closed its stdout before it was ready%s", p.spec.Name, payload.LastWords(words))
	}
	return fmt.Errorf("not ready: %w", p.spec.Verdict(res, words))
}

// deathTime is how long a process that has closed its stdout may take to end by itself.
const deathTime = 2 * time.Second

// death is the end of a process whose stdout is at its end. One that lives on is ended: nothing can come of it any more.
func (p *process) death() (keeper.Result, error) {
	t := time.NewTimer(deathTime)
	defer t.Stop()
	select {
	case <-p.program.Done():
	case <-t.C:
		p.retire(errClosed.Error())
		p.end(errClosed)
	}
	<-p.ended
	return p.program.Wait()
}

// pipes are those of a process. Ours do not block a thread, theirs block the process.
type pipes struct {
	ours, theirs []*os.File
	err          error
}

// to makes a pipe to the process and returns our end.
func (p *pipes) to() *os.File {
	r, w := p.make()
	p.ours, p.theirs = append(p.ours, w), append(p.theirs, r)
	return w
}

// from makes a pipe from the process and returns our end.
func (p *pipes) from() *os.File {
	r, w := p.make()
	p.ours, p.theirs = append(p.ours, r), append(p.theirs, w)
	return r
}

func (p *pipes) make() (r, w *os.File) {
	if p.err != nil {
		return nil, nil
	}
	r, w, p.err = os.Pipe()
	return r, w
}

func (p *pipes) closeOurs() {
	for _, f := range p.ours {
		_ = f.Close()
	}
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		_ = f.Close()
	}
}
