package pilot

import (
	"context"
	"time"

	"tfpilot/internal/document"
	"tfpilot/wrapper"
)

// take and leave keep the books of what is in hand. The first slice of a run binds a pilot without a run number to it; then a
// slice of another run is given back. One that another slot holds already, because the connection was lost meanwhile, waits for
// it: the journal has the answer then.
func (p *Pilot) take(ctx context.Context, k JournalKey) error {
	for {
		p.mu.Lock()
		if p.run == "" && k.Run != "" {
			p.serve(k.Run)
		}
		if k.Run != "" && p.run != k.Run {
			p.mu.Unlock()
			return errRebound
		}
		other, held := p.inHand[k.Identity]
		if !held {
			now := time.Now()
			p.hadSlice, p.staySaid, p.last = true, false, now
			if p.firstSliceAt.IsZero() {
				p.firstSliceAt = now
			}
			p.inHand[k.Identity] = inHand{
				SliceInHand: document.SliceInHand{Identity: k.Identity, RunID: k.Run, Attempt: k.Attempt, Since: now.UTC()},
				left:        make(chan struct{}),
			}
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		select {
		case <-other.left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// inHand is a slice that a slot holds; left is closed when it does no more.
type inHand struct {
	document.SliceInHand

	stood  time.Duration // how long the pilot had stood still before it was begun
	result time.Time     // when its result was in the journal; zero while a payload works on it
	left   chan struct{}
}

// begun notes that the payload of a slice was started.
func (p *Pilot) begun(k JournalKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.inHand[k.Identity]
	h.RunningSince = time.Now().UTC()
	h.stood = time.Duration(p.totals.SuspendedSeconds * float64(time.Second))
	p.inHand[k.Identity] = h
}

// received is when a slice that is in hand came.
func (p *Pilot) received(identity string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inHand[identity].Since
}

// hold notes that only the broker is waited for.
func (p *Pilot) hold(k JournalKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.inHand[k.Identity]
	h.result = time.Now()
	p.inHand[k.Identity] = h
}

func (p *Pilot) leave(k JournalKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	close(p.inHand[k.Identity].left)
	delete(p.inHand, k.Identity)
}

// busy says whether any slot holds a slice.
func (p *Pilot) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.inHand) > 0
}

func (p *Pilot) ready() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == document.WorkerStarting {
		p.phase, p.last = document.WorkerRunning, time.Now()
		p.readyAt = p.last
	}
}

// releases are those of one slice for the site's sake.
type releases struct {
	times   int
	counted time.Time // the last one that counted
}

// count counts a slice of so many frames that was worked on here.
func (p *Pilot) count(k JournalKey, o wrapper.Outcome, took time.Duration, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.releases, k.Identity)
	if o.Err == nil {
		p.totals.Done++
		p.deadline.Took(took, size)
	} else {
		p.totals.Failed++ // and may have been over at once, which says nothing of what a slice takes
	}
	p.totals.WallSeconds += took.Seconds()
	u := o.Result.Usage
	p.noteStart(u.Startup)
	p.totals.CPUSeconds += (u.User + u.System).Seconds()
	p.totals.PeakMemoryBytes, p.totals.Processes = max(p.totals.PeakMemoryBytes, u.PeakBytes), max(p.totals.Processes, u.Processes)
}

// worked is how long a payload worked, without its start and without the time that it stood still together with us.
func (p *Pilot) worked(k JournalKey, o wrapper.Outcome) time.Duration {
	p.awake(time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	stood := time.Duration(p.totals.SuspendedSeconds*float64(time.Second)) - p.inHand[k.Identity].stood
	return max(o.Ended.Sub(o.Started)-o.Result.Usage.Startup-stood, 0)
}

// settled notes how long a payload took, and the broker to confirm its result and its acknowledgement.
func (p *Pilot) settled(payload, broker time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.pace.ahead(p.cfg.Ahead)
	p.pace.note(payload, broker)
	if p.pace.ahead(p.cfg.Ahead) > before {
		select {
		case p.paced <- struct{}{}:
		default:
		}
	}
}

// released counts a slice that is given back.
func (p *Pilot) released() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.totals.Released++
}

// resting counts the slots that are not subscribed, because they rest: they are not idle.
func (p *Pilot) resting(change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rests += change
	p.last = time.Now()
}
