package eicrecon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/pause"
	"tfpilot/payload"
)

// slot is a place for one daemon.
type slot struct {
	mu     sync.Mutex // held by who uses the slot
	daemon *daemon    // nil, or one that was ready
	next   choice     // what the next slice will most likely ask for: what the last one did
	shown  []string   // folders of files that slices have named
	failed int        // starts since a slice was last done, all of them of the same choice, whose daemon did not become ready or is gone
	bad    choice
}

// slot is that of a number.
func (p *Payload) slot(n int) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.slots) <= n {
		p.slots = append(p.slots, &slot{})
	}
	return p.slots[n]
}

// Prepare starts the daemon that the last slice in the slot was worked on by, or before the first one that of the spec. Where slices say
// themselves whether they want one, none is started before one does.
func (p *Payload) Prepare(ctx context.Context, s payload.Slot) (payload.Startup, error) {
	sl := p.slot(s.Number)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if !sl.next.daemon {
		ch, err := choose(p.spec.EICrecon, message.SliceContent{})
		if err != nil || !ch.daemon {
			return payload.Startup{}, err
		}
		sl.next = ch
	}
	return p.prepare(ctx, sl, s, sl.next, "")
}

// prepare makes the slot's daemon one of that choice, which sees the input.
func (p *Payload) prepare(ctx context.Context, sl *slot, s payload.Slot, ch choice, input string) (started payload.Startup, err error) {
	if d := sl.daemon; d != nil {
		if d.same(ch) && !d.gone() && d.sees(input) {
			return payload.Startup{Gone: d.program.Done()}, nil
		}
		if d.gone() {
			sl.fails(d.choice)
		}
		sl.bury()
	}
	if sl.bad.same(ch) {
		if err := pause.For(ctx, payload.Rest(sl.failed)); err != nil {
			return started, p.spec.Stopped(err, 0)
		}
	}
	if dir := filepath.Dir(input); ch.image != "" && filepath.IsAbs(input) && !slices.Contains(sl.shown, dir) {
		sl.shown = append(sl.shown, dir)
	}
	began := time.Now()
	d, logs, err := p.start(ctx, s, ch, append([]string{s.DataDir}, sl.shown...))
	if err != nil {
		if ctx.Err() == nil {
			sl.fails(ch)
		}
		return payload.Startup{Logs: logs}, err
	}
	sl.daemon, sl.next = d, ch
	return payload.Startup{Took: time.Since(began), Gone: d.program.Done()}, nil
}

// fails counts a daemon that was of no use.
func (sl *slot) fails(ch choice) {
	if !sl.bad.same(ch) {
		sl.bad, sl.failed = ch, 0
	}
	sl.failed++
}

// bury ends the slot's daemon.
func (sl *slot) bury() {
	if sl.daemon != nil {
		sl.daemon.bury(sl.daemon.gone())
		sl.daemon = nil
	}
}

// resident works on a slice with the slot's daemon. A slice whose daemon was lost is tried once more, unless the daemon had worked on no
// other: what went wrong may be the fault of an earlier one.
func (p *Payload) resident(ctx context.Context, r payload.Request, ch choice) (payload.Result, error) {
	name, err := outputName(r.Slice)
	if err != nil {
		return payload.Result{}, err
	}
	sl := p.slot(r.Slot.Number)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for {
		res, again, err := p.try(ctx, sl, r, ch, name)
		if !again {
			return res, err
		}
	}
}

// try works on a slice once; again says that the daemon was lost, perhaps for an earlier slice.
func (p *Payload) try(ctx context.Context, sl *slot, r payload.Request, ch choice, name string) (res payload.Result, again bool, err error) {
	started, err := p.prepare(ctx, sl, r.Slot, ch, r.Input)
	if err != nil {
		if exitcode.From(err) != exitcode.DataInvalid { // what nobody could start is the slice's own fault
			err = fmt.Errorf("%w: %w", payload.ErrNotReady, err)
		}
		return res, false, err
	}
	d := sl.daemon
	d.printsTo(r.Log.Stdout, r.Log.Stderr)
	d.program.Lap()
	began := time.Now()
	events, sound, err := p.work(ctx, d, r, name)
	d.asked++
	usage := payload.Usage{Wall: time.Since(began), Startup: started.Took}
	lap := d.program.Lap()
	usage.User, usage.System, usage.PeakBytes, usage.Processes = lap.User, lap.System, lap.PeakBytes, lap.Processes
	usage.ReadBytes, usage.WrittenBytes = lap.ReadBytes, lap.WrittenBytes
	if !sound || d.gone() {
		if d.gone() && ctx.Err() == nil {
			sl.fails(ch)
		}
		// Before what it printed is looked at: then all of it is here.
		sl.bury()
		end, _ := d.program.Wait()
		usage.ExitCode, usage.Signal, usage.LeftBehind = end.ExitCode, end.Signal, end.LeftBehind
	} else {
		usage.LeftBehind = d.program.Sweep()
	}
	usage.Stdout, usage.Stderr = d.printsTo(d.between.Stdout, d.between.Stderr)
	if err == nil {
		sl.failed = 0
		res, err = p.result(ctx, r, name, events, p.spec.Timeout-usage.Wall)
		res.Details = map[string]any{"events_processed": events, "epic_version": ch.version}
	}
	res.Usage = usage
	_, lost := errors.AsType[*lostError](err)
	return res, lost && d.asked > 1 && ctx.Err() == nil, err
}

// Close ends all daemons.
func (p *Payload) Close(ctx context.Context) error {
	p.mu.Lock()
	slots := slices.Clone(p.slots)
	p.mu.Unlock()
	var ending sync.WaitGroup
	for _, sl := range slots {
		ending.Go(func() {
			sl.mu.Lock()
			defer sl.mu.Unlock()
			sl.bury()
		})
	}
	done := make(chan struct{})
	go func() { ending.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("not all daemons have ended: %w", context.Cause(ctx))
	}
}
