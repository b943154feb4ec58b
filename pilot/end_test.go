package pilot_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/slotend"
	"tfpilot/pilot"
)

// place is a slot whose end the test sets.
type place struct {
	mu        sync.Mutex
	end       slotend.End
	taken     error
	clockOff  time.Duration
	suspended time.Duration
}

// endsIn is a slot that ends in a while.
func endsIn(d time.Duration) *place {
	p := &place{}
	p.endIn(d, exitcode.Walltime)
	return p
}

func (p *place) endIn(d time.Duration, cause exitcode.Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = slotend.End{At: time.Now().Add(d), Source: "the test", Cause: cause}
}

func (p *place) Document() document.Slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return document.Slot{Cores: 4, EndsAt: p.end.At, EndsBy: p.end.Source, Facts: []document.SlotFact{
		{Name: "cores", Value: "4", Source: "the allocation", Counts: true}, {Name: "cores", Value: "64", Source: "the node"},
	}}
}

func (p *place) End() (slotend.End, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end, p.end.Source != ""
}

func (p *place) Watch(ctx context.Context, changed func(error)) {
	changed(nil)
	<-ctx.Done()
}

func (p *place) Suspended(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspended += d
}

func (p *place) ClockOff(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clockOff = d
}

func (p *place) off() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clockOff
}

func (p *place) stood() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.suspended
}

func (p *place) Taken(context.Context) error { return p.taken }

// waiting awaits that the one slice that was not worked on is in the queue again.
func (r *rig) waiting() {
	r.t.Helper()
	await(r.t, "the slices that were given back", func() bool { q := r.queue(); return q.Depth == 1 && q.InFlight == 0 })
}

func TestNoSliceIsBegunThatDoesNotFit(t *testing.T) {
	t.Parallel()
	t.Run("by the configured time, before there has been one", func(t *testing.T) {
		t.Parallel()
		r, w := newRig(t), &runner{}
		r.publish(slice("a", 1))
		err := r.pilotIn(endsIn(30*time.Minute), pilot.Config{Run: run, SliceTime: time.Hour}, w, nil).wait()
		if exitcode.From(err) != exitcode.Walltime || !strings.Contains(err.Error(), "the test") || !strings.Contains(err.Error(), "--slice-time") {
			t.Errorf("got %v", err)
		}
		if w.count("a") != 0 {
			t.Error("it was begun")
		}
		r.waiting()
	})
	t.Run("what failed at once says nothing", func(t *testing.T) {
		t.Parallel()
		r, in := newRig(t), endsIn(3*time.Hour)
		w := &runner{do: func(context.Context, message.Slice) error { return exitcode.New(exitcode.DataInvalid, "not this one") }}
		p := r.pilotIn(in, pilot.Config{Run: run, SliceTime: time.Hour}, w, nil)
		r.publish(slice("a", 1))
		r.next()
		in.endIn(30*time.Minute, exitcode.Walltime)
		if err := p.wait(); exitcode.From(err) != exitcode.Walltime || !strings.Contains(err.Error(), "--slice-time") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("by those that there have been", func(t *testing.T) {
		t.Parallel()
		r, in, w := newRig(t), endsIn(30*time.Minute), &runner{took: time.Second}
		p := r.pilotIn(in, pilot.Config{Run: run, EndReserve: time.Nanosecond, SliceTime: time.Minute}, w, nil)
		r.publish(slice("a", 1))
		r.next()
		in.endIn(40*time.Second, exitcode.Walltime) // less than the configured time, far more than the first one took
		r.publish(slice("b", 1))
		r.next()
		big := slice("big", 1)
		big.Content.End = message.NewInt(999)
		r.publish(big)
		if err := p.wait(); exitcode.From(err) != exitcode.Walltime || !strings.Contains(err.Error(), "95 of 100") {
			t.Errorf("got %v", err)
		}
		if w.count("big") != 0 {
			t.Error("the large one was begun")
		}
		r.waiting()
	})
}

func TestWhatIsUnderWayAtTheEndOfTheSlotGoesBackUncounted(t *testing.T) {
	t.Parallel()
	for _, cause := range []exitcode.Failure{exitcode.Walltime, exitcode.Expiring} {
		t.Run(cause.Name, func(t *testing.T) {
			t.Parallel()
			r, in, idds := newRig(t), endsIn(time.Hour), &reporter{}
			w := &runner{do: func(ctx context.Context, _ message.Slice) error { <-ctx.Done(); return context.Cause(ctx) }}
			r.publish(slice("a", 1))
			p := r.pilotIn(in, pilot.Config{Run: run}, w, idds)
			await(t, "the payload", func() bool { return w.count("a") == 1 })
			in.endIn(0, cause)
			if err := p.wait(); exitcode.From(err) != cause {
				t.Errorf("got %v", err)
			}
			r.waiting()
			if last := idds.last(); last.Exit == nil || last.Exit.Name != cause.Name || last.Totals.Released != 1 {
				t.Errorf("last words %+v of %+v", last.Exit, last.Totals)
			}
		})
	}
}

func TestNothingIsDecidedByAClockBeforeIddsHasSaidWhatTimeItIs(t *testing.T) {
	t.Parallel()
	r, in, idds := newRig(t), endsIn(0), &reporter{hold: make(chan struct{})}
	idds.reply.At = time.Now().Add(time.Hour)
	w := &runner{}
	r.publish(slice("a", 1))
	p := r.pilotIn(in, pilot.Config{Run: run}, w, idds)
	r.next()
	close(idds.hold)
	if err := p.wait(); exitcode.From(err) != exitcode.Walltime {
		t.Errorf("got %v", err)
	}
	if off := in.off(); (off - time.Hour).Abs() > time.Minute {
		t.Errorf("the clock is off by %s", off)
	}
}

func TestDrainingFinishesWhatIsUnderWayAndTakesNoMore(t *testing.T) {
	t.Parallel()
	r, g := newRig(t), make(gate)
	w := &runner{do: func(ctx context.Context, _ message.Slice) error { return g.wait(ctx) }}
	idds := &reporter{}
	r.publish(slice("a", 1))
	p := r.pilot(pilot.Config{Run: run, DrainTime: time.Nanosecond}, w, idds)
	await(t, "the payload", func() bool { return w.count("a") == 1 })
	p.drain <- exitcode.New(exitcode.Drained, "told to")
	await(t, "the draining", func() bool { return idds.last().Phase == document.WorkerDraining })
	r.publish(slice("b", 1))
	close(g)
	if m := r.next(); m.Identity() != "a" || m.Content.State != message.StateDone {
		t.Errorf("%s of %s", m.Content.State, m.Identity())
	}
	if err := p.wait(); exitcode.From(err) != exitcode.Drained {
		t.Errorf("got %v", err)
	}
	r.waiting()
}

func TestASliceIsNoneTheWorseForASignalThatWasNotMeantForIt(t *testing.T) {
	t.Parallel()
	t.Run("the signal to the payload is first", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		var p *started
		ready := make(chan struct{})
		w := &runner{signal: syscall.SIGTERM.String(), do: func(context.Context, message.Slice) error {
			<-ready
			go p.stop()
			return exitcode.New(exitcode.PayloadCrashed, "ended by a signal")
		}}
		r.publish(slice("a", 1))
		p = r.pilot(pilot.Config{Run: run, DrainTime: time.Hour}, w, nil)
		close(ready)
		if err := p.wait(); exitcode.From(err) != exitcode.Interrupted {
			t.Errorf("got %v", err)
		}
		r.waiting()
	})
	t.Run("a payload that ended by itself is its own fault", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		w := &runner{signal: syscall.SIGTERM.String(), do: func(context.Context, message.Slice) error {
			return exitcode.New(exitcode.PayloadCrashed, "ended by a signal")
		}}
		r.publish(slice("a", 1))
		r.pilot(pilot.Config{Run: run}, w, nil)
		if m := r.next(); m.Content.Failure == nil || m.Content.Failure.Name != exitcode.PayloadCrashed.Name {
			t.Errorf("%+v", m.Content.Failure)
		}
	})
}

func TestTheCauseOfASignalIsWhatTheBatchSystemSays(t *testing.T) {
	t.Parallel()
	r, in, idds := newRig(t), endsIn(time.Hour), &reporter{}
	in.taken = exitcode.New(exitcode.Preempted, "the batch system preempts")
	p := r.pilotIn(in, pilot.Config{Run: run}, nil, idds)
	await(t, "the start", func() bool { return idds.last().Phase == document.WorkerRunning })
	p.stop()
	err := p.wait()
	if exitcode.From(err) != exitcode.Preempted || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the batch system preempts") {
		t.Errorf("got %v", err)
	}
}

func TestReportsSayWhatTheSlotIsAndTheLastOneWhatCameOfIt(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), &reporter{}
	r.refuse.Store(true) // also while there is no broker
	p := r.pilotIn(endsIn(time.Hour), pilot.Config{Run: run, BatchSystem: "slurm", BatchID: "12", WorkerID: "tag.3", Site: "farm"}, nil, idds)
	await(t, "the start report", func() bool { return idds.count() > 0 })
	w := idds.first()
	if w.Slot == nil || w.Slot.Cores != 4 || len(w.Slot.Facts) != 2 || w.Slot.EndsBy != "the test" || w.WorkerID != "tag.3" || w.Site != "farm" || w.LinkProven {
		t.Errorf("start report %+v with slot %+v", w, w.Slot)
	}
	await(t, "the log", func() bool { return strings.Contains(r.log.String(), "4 (the allocation)") })
	r.refuse.Store(false)
	r.publish(slice("a", 1))
	r.next()
	await(t, "the slice's end", func() bool { return idds.last().Totals.Done == 1 && len(idds.last().InHand) == 0 })
	p.stop()
	_ = p.wait()
	last := idds.last()
	if last.Exit == nil || last.Exit.WallSeconds <= 0 || last.Exit.Efficiency == nil || last.Totals.Done != 1 {
		t.Errorf("last words %+v of %+v", last.Exit, last.Totals)
	}
}

func TestStandingStillIsNoIdleTime(t *testing.T) {
	t.Parallel()
	r, in, idds := newRig(t), endsIn(1000*time.Hour), &reporter{}
	p := r.pilotIn(in, pilot.Config{Run: run, FirstSliceTimeout: time.Hour}, nil, idds)
	await(t, "the start", func() bool { return idds.last().Phase == document.WorkerRunning })
	now := time.Now().Add(2 * time.Hour) // nothing has looked at the time for so long: it was stopped
	if err := p.pilot.IdleAt(now); err != nil {
		t.Errorf("it leaves: %v", err)
	}
	if got := time.Duration(p.pilot.Report().Totals.SuspendedSeconds) * time.Second; (got-2*time.Hour).Abs() > time.Minute || in.stood().Abs()-got > time.Second {
		t.Errorf("it stood still for %s, its slot for %s", got, in.stood())
	}
	var err error
	for over := now.Add(61 * time.Minute); now.Before(over) && err == nil; now = now.Add(time.Second) {
		err = p.pilot.IdleAt(now)
	}
	if exitcode.From(err) != exitcode.NoFirstSlice {
		t.Errorf("after an hour of idle time: %v", err)
	}
}
