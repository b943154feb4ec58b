package pilot

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/wrapper"
)

// Place is the slot that a pilot sits in, as far as it is known: some of it the batch system tells only later.
type Place interface {
	Document() document.Slot
	// End is the soonest of all ends; ok is false while none is known.
	End() (end End, ok bool)
	// Watch asks again, seldom, until ctx ends. It calls changed after every answer, with the error of one that did not come.
	Watch(ctx context.Context, changed func(error))
	// Suspended notes that everything stood still for a while. It returns at once.
	Suspended(d time.Duration)
	// ClockOff notes how far the clock of idds is ahead of ours.
	ClockOff(d time.Duration)
	// Taken says who took the slot back, after a signal; nil where nobody knows.
	Taken(ctx context.Context) error
}

// End is when the slot, or something that the pilot cannot do without, ends.
type End struct {
	At time.Time
	// Source says where that is known from.
	Source string
	// Cause is Walltime or Expiring.
	Cause exitcode.Failure
}

// watchPlace logs what is known of the slot, and what changes.
func (p *Pilot) watchPlace(ctx context.Context) {
	if p.place == nil {
		return
	}
	var said document.Slot
	say := func(failed error) {
		d := p.place.Document()
		if failed != nil && ctx.Err() == nil {
			p.log.InfoContext(ctx, "the batch system does not say when the slot ends", logging.Err(failed))
		}
		if d.EndsBy == said.EndsBy && d.EndsAt.Sub(said.EndsAt).Abs() < time.Minute {
			return
		}
		said = d
		p.log.InfoContext(ctx, "end of the slot", slog.Time("at", d.EndsAt), slog.String("by", d.EndsBy))
		p.tellSoon()
	}
	say(nil)
	p.place.Watch(ctx, say)
}

// sayPlace logs the facts of the slot, each with its source.
func (p *Pilot) sayPlace(ctx context.Context) {
	attrs := []slog.Attr{slog.Int("slots", int(p.cfg.Slots))}
	if p.place != nil {
		for _, f := range p.place.Document().Facts {
			if f.Counts {
				attrs = append(attrs, slog.String(f.Name, f.Value+" ("+f.Source+")"))
			}
		}
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "pilot started", attrs...)
}

// takenTime bounds the question who took the slot back: it must not hold up the end.
const takenTime = 2 * time.Second

// takenBy asks, once the signal has come, who took the slot back. Its answer comes while the slots end.
func (p *Pilot) takenBy(ctx context.Context) (answer <-chan error) {
	out := make(chan error, 1)
	if p.place == nil {
		out <- nil
		return out
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), takenTime)
	go func() {
		defer cancel()
		out <- p.place.Taken(short)
	}()
	return out
}

// interrupted is the cause of an end by a signal: that the slot is at its end anyhow, else what the batch system says of it, else the
// signal alone.
func (p *Pilot) interrupted(ctx context.Context, said error) error {
	const near = 2 * time.Minute // Slurm looks at limits once a minute, or half a minute early
	cause := context.Cause(ctx)
	if p.place != nil && exitcode.From(said) != exitcode.Cancelled {
		if end, ok := p.place.End(); ok && time.Until(end.At) < near {
			return exitcode.New(end.Cause, "ended by a signal, near the end of the slot (%s): %w", end.Source, cause)
		}
	}
	if said != nil {
		return fmt.Errorf("%w: %w", said, cause)
	}
	return exitcode.New(exitcode.Interrupted, "ended by a signal: %w", cause)
}

// signalWait is how long after a payload was ended by a signal ours may still be on its way: batch systems send it to all
// processes of a job, one after the other, and of a warning we hear when the batch system has been asked what it means.
const signalWait = takenTime + time.Second

// endedFromOutside says that a payload was ended by whoever takes the slot back. Its slice is none the worse for that.
func (p *Pilot) endedFromOutside(ctx context.Context, o wrapper.Outcome) bool {
	told := func() bool {
		select {
		case <-p.signalled:
			return true
		default:
			return false
		}
	}
	switch o.Result.Usage.Signal {
	case syscall.SIGTERM.String(), syscall.SIGINT.String(), syscall.SIGHUP.String(), syscall.SIGUSR1.String(), syscall.SIGUSR2.String():
	default:
		return told()
	}
	t := time.NewTimer(signalWait)
	defer t.Stop()
	select {
	case <-p.signalled:
		return true
	case <-p.warned:
		return true
	case <-ctx.Done():
		return true
	case <-t.C:
		return false
	}
}
