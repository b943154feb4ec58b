package pilot

import (
	"context"
	"log/slog"
	"syscall"
	"time"

	"tfpilot/internal/message"
	"tfpilot/internal/slotend"
	"tfpilot/wrapper"
)

// sayPlace logs the facts of the slot, each with its source.
func (p *Pilot) sayPlace(ctx context.Context) {
	attrs := []slog.Attr{slog.Int("slots", int(p.cfg.Slots))}
	if slot := p.deadline.Document(); slot != nil {
		for _, f := range slot.Facts {
			if f.Counts {
				attrs = append(attrs, slog.String(f.Name, f.Value+" ("+f.Source+")"))
			}
		}
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "pilot started", attrs...)
}

// frames is the size of a slice; 0 when it does not say.
func frames(m message.Slice) int64 {
	return max(m.Content.End.Int64()-m.Content.Start.Int64()+1, 0)
}

// noTime is [slotend.Deadline.NoTime] of this moment.
func (p *Pilot) noTime(size int64, before time.Duration) error {
	p.awake(time.Now())
	return p.deadline.NoTime(size, before)
}

// watchEnd ends the taking when no slice fits any more, and the work when what is under way has no time left: whoever waited for
// the batch system to do that would lose it, and perhaps the word that it is lost. It looks at the time for as long as the pilot
// lives, so that somebody does (awake).
func (p *Pilot) watchEnd(ctx context.Context, stopTaking, stopWork func(error)) {
	t := time.NewTicker(lookForEnd)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if cause := p.noTime(0, 0); cause != nil {
			stopTaking(cause)
		}
		if cause := p.deadline.Over(); cause != nil {
			stopTaking(cause)
			stopWork(cause)
		}
	}
}

// signalWait is how long after a payload was ended by a signal ours may still be on its way: batch systems send it to all
// processes of a job, one after the other, and of a warning we hear when the batch system has been asked what it means.
const signalWait = slotend.AskTime + time.Second

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
