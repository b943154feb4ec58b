package slotend

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// Config is what is reckoned with.
type Config struct {
	// Reserve is for ending payloads, publishing, giving back and leaving.
	Reserve time.Duration
	// SliceTime is what is expected of a slice before there has been one.
	SliceTime time.Duration
}

// Deadline is the end of the slot, and what it leaves time for. Make it with New.
type Deadline struct {
	place    Place
	known    bool // that there is a place
	cfg      Config
	log      *slog.Logger
	compared atomic.Bool // the clock with that of idds, or it cannot be

	mu    sync.Mutex
	takes takes
}

// New makes the deadline of a place. With a nil one there is no end that anybody knows.
func New(place Place, cfg Config, log *slog.Logger) *Deadline {
	d := &Deadline{place: place, known: place != nil, cfg: cfg, log: log}
	if !d.known {
		d.place = endless{}
	}
	return d
}

// Document is what is known of the slot; nil where nothing is.
func (d *Deadline) Document() *document.Slot {
	if !d.known {
		return nil
	}
	slot := d.place.Document()
	return &slot
}

// Watch asks for the end again until ctx ends. It logs what is known of it, and what changes, which it also tells.
func (d *Deadline) Watch(ctx context.Context, tell func()) {
	var said document.Slot
	say := func(failed error) {
		slot := d.place.Document()
		if failed != nil && ctx.Err() == nil {
			d.log.InfoContext(ctx, "the batch system does not say when the slot ends", logging.Err(failed))
		}
		if slot.EndsBy == said.EndsBy && slot.EndsAt.Sub(said.EndsAt).Abs() < time.Minute {
			return
		}
		said = slot
		d.log.InfoContext(ctx, "end of the slot", slog.Time("at", slot.EndsAt), slog.String("by", slot.EndsBy))
		tell()
	}
	say(nil)
	d.place.Watch(ctx, say)
}

// Compare notes what the clock of idds said to a question that was sent at a time; nothing, where it is zero. Until it has been called
// nothing is decided by the end: idds knows what our clock is worth.
func (d *Deadline) Compare(idds, sent time.Time) {
	if !idds.IsZero() {
		d.place.ClockOff(idds.Sub(sent.Add(time.Since(sent) / 2)))
	}
	d.compared.Store(true)
}

// Suspended notes that everything stood still for a while.
func (d *Deadline) Suspended(gap time.Duration) { d.place.Suspended(gap) }

// Took notes how long a slice of so many frames has taken.
func (d *Deadline) Took(took time.Duration, frames int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.takes.note(took, frames)
}

// NoTime is the reason not to begin another slice of so many frames, 0 for an ordinary one, after something that takes a time of its
// own; nil while one fits.
func (d *Deadline) NoTime(frames int64, before time.Duration) error {
	end, ok := d.end()
	if !ok {
		return nil
	}
	left := time.Until(end.At)
	room := left - d.cfg.Reserve - before
	d.mu.Lock()
	expected, by := d.takes.expect(frames, room), "95 of 100 take no longer"
	if d.takes.n == 0 {
		expected, by = d.cfg.SliceTime, "--slice-time"
	}
	d.mu.Unlock()
	if room >= expected {
		return nil
	}
	return exitcode.New(end.Cause, "no time for another slice: the slot ends in %s (%s), less %s to leave in; a slice takes %s (%s)",
		(left - before).Round(time.Second), end.Source, d.cfg.Reserve, expected.Round(time.Millisecond), by)
}

// Over is the reason to leave at once, whatever is under way; nil while more than the reserve is left.
func (d *Deadline) Over() error {
	if end, ok := d.end(); ok && time.Until(end.At) < d.cfg.Reserve {
		return exitcode.New(end.Cause, "the slot ends (%s)", end.Source)
	}
	return nil
}

// end is the end of the slot, once it may be relied upon.
func (d *Deadline) end() (End, bool) {
	if !d.compared.Load() {
		return End{}, false
	}
	return d.place.End()
}

// AskTime bounds the question who took the slot back: it must not hold up the end.
const AskTime = 2 * time.Second

// Signalled asks, once a signal has ended ctx, who took the slot back. The answer comes while the slots end; cause waits for it, and is
// that the slot is at its end anyhow, else what the batch system says of it, else the signal alone.
func (d *Deadline) Signalled(ctx context.Context) (cause func() error) {
	answer := make(chan error, 1)
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), AskTime)
	go func() {
		defer cancel()
		answer <- d.place.Taken(short)
	}()
	return func() error { return d.interrupted(context.Cause(ctx), <-answer) }
}

// interrupted is the cause of an end by a signal of which the batch system has said something, or nothing.
func (d *Deadline) interrupted(signal, said error) error {
	const near = 2 * time.Minute // Slurm looks at limits once a minute, or half a minute early
	if exitcode.From(said) != exitcode.Cancelled {
		if end, ok := d.place.End(); ok && time.Until(end.At) < near {
			return exitcode.New(end.Cause, "ended by a signal, near the end of the slot (%s): %w", end.Source, signal)
		}
	}
	if said != nil {
		return fmt.Errorf("%w: %w", said, signal)
	}
	return exitcode.New(exitcode.Interrupted, "ended by a signal: %w", signal)
}
