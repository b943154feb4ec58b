package resident

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tfpilot/payload"
)

// mostFailed bounds what is remembered of a process: each slice that has failed in it.
const mostFailed = 10_000

// slot is what is kept of a slot. Its turn is held by whoever prepares it, works on a slice in it or ends it.
type slot struct {
	spec payload.Program
	turn chan struct{}

	process *process
	before  string // why the process before this one is gone, until that is told
	deaths  int    // of processes that were not due, and starts in vain, since a slice was last done
}

func newSlot(spec payload.Program) *slot { return &slot{spec: spec, turn: make(chan struct{}, 1)} }

// take takes the slot's turn.
func (s *slot) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *slot) give() { <-s.turn }

// ready gives a process that could work on a slice at once, which it starts where there is none; then it says how long that took,
// and why the one before is gone.
func (s *slot) ready(ctx context.Context, in payload.Slot) (started payload.Startup, err error) {
	if err := s.clear(ctx); err != nil {
		return started, err
	}
	if s.process != nil {
		return payload.Startup{Gone: s.process.gone}, nil
	}
	started.Replaces = s.before
	began := time.Now()
	p, err := start(ctx, s.spec, in)
	if err == nil {
		if err = p.becomeReady(ctx); err != nil {
			started.Logs = p.logs
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			s.deaths++
		}
		return started, err
	}
	s.process, s.before = p, ""
	started.Took, started.Gone = time.Since(began), p.gone
	return started, nil
}

// clear makes room for another process where the one that is there gets no further slice.
func (s *slot) clear(ctx context.Context) error {
	p := s.process
	if p == nil || p.fit() {
		return nil
	}
	select {
	case <-p.ended: // two of them would take twice the memory
	case <-ctx.Done():
		return interrupted(s.spec, context.Cause(ctx))
	}
	if !p.due {
		s.deaths++
	}
	s.before, s.process = p.reason(), nil
	return nil
}

// run works on one slice. It is given to a fresh process once when it was lost with the one before, or had failed in it.
func (s *slot) run(ctx context.Context, r payload.Request) (payload.Result, error) {
	if p := s.process; p != nil && p.fit() && p.failed[r.Slice.Content.Identity()] {
		s.replace("a slice that had failed in it has come again")
	}
	var startup time.Duration
	var lost error
	for {
		started, err := s.ready(ctx, r.Slot)
		startup += started.Took
		if err != nil {
			res := payload.Result{Usage: payload.Usage{Startup: startup}}
			if lost != nil && ctx.Err() == nil {
				return res, fmt.Errorf("%w; then %w", lost, hidden{err})
			}
			return res, fmt.Errorf("%w: %w", payload.ErrNotReady, err)
		}
		result, err := s.process.work(ctx, r)
		result.Usage.Startup = startup
		s.after(err)
		again, isLost := errors.AsType[lostError](err)
		switch {
		case !isLost:
			return result, err
		case lost != nil || ctx.Err() != nil:
			return result, again.error
		}
		if lost = again.error; empty(r.Dir) != nil {
			return result, lost
		}
	}
}

// hidden keeps what an error says, and not what it is.
type hidden struct{ error }

// after looks at the process after a slice: it may have died, or be due to be replaced.
func (s *slot) after(err error) {
	p, rules := s.process, s.spec.Resident
	if err == nil {
		s.deaths = 0
	}
	if !p.fit() {
		return
	}
	switch {
	case rules.RecycleSlices > 0 && p.slices >= rules.RecycleSlices:
		s.replace(fmt.Sprintf("it had worked on %d slices (recycle_slices)", p.slices))
	case len(p.failed) >= mostFailed:
		s.replace(fmt.Sprintf("%d slices had failed in it", len(p.failed)))
	case rules.RecycleMB > 0 && p.heavy(int64(rules.RecycleMB)<<20):
		s.replace(fmt.Sprintf("it held more than %d MB (recycle_mb)", rules.RecycleMB))
	}
}

// replace has the process end in good order while nobody waits for it.
func (s *slot) replace(why string) {
	p := s.process
	p.due = true
	p.retire(why)
	go p.dismiss(errors.New(why))
}

// close ends what is there.
func (s *slot) close() {
	if s.process != nil {
		s.process.dismiss(errors.New("the payload is closed"))
		s.process = nil
	}
}

// empty removes what a process that is gone has left in a slice's folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return os.Mkdir(dir, 0o700)
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
