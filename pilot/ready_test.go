package pilot_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/payload"
	"tfpilot/pilot"
)

// starter makes slots ready when it is told to, and takes that back.
type starter struct {
	begun, ready chan int // slots
	mu           sync.Mutex
	gone         map[int]chan struct{}
}

func newStarter() *starter {
	return &starter{begun: make(chan int, 64), ready: make(chan int), gone: map[int]chan struct{}{}}
}

func (s *starter) prepare(ctx context.Context, slot int) (payload.Startup, error) {
	s.begun <- slot
	select {
	case <-s.ready:
	case <-ctx.Done():
		return payload.Startup{}, exitcode.New(exitcode.Interrupted, "ended: %w", context.Cause(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[slot] = make(chan struct{})
	return payload.Startup{Took: time.Second, Gone: s.gone[slot]}, nil
}

// lose has the payload of a slot go.
func (s *starter) lose(slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gone[slot])
}

func TestASlotTakesASliceOnlyWhenItsPayloadIsReady(t *testing.T) {
	t.Parallel()
	r, starts, idds := newRig(t), newStarter(), &reporter{}
	p := r.pilot(pilot.Config{Slots: 3, Run: run}, &runner{prepare: starts.prepare}, idds)
	r.publish(slice("one", 1))
	for range 3 { // side by side
		<-starts.begun
	}
	await(t, "a report", func() bool { return idds.count() > 2 })
	if q := r.queue(); q.Consumers > 0 || q.InFlight > 0 || idds.last().Phase != document.WorkerStarting || !idds.last().IdleSince.IsZero() {
		t.Errorf("%+v, %+v", q, idds.last())
	}
	starts.ready <- 0
	if got := r.next(); got.Content.State != message.StateDone {
		t.Error(got.Content.State)
	}
	if q := r.queue(); q.Consumers != 1 {
		t.Errorf("subscriptions: %d", q.Consumers)
	}
	starts.ready <- 0
	starts.ready <- 0
	await(t, "all slots", func() bool { return r.queue().Consumers == 3 })
	await(t, "their starts", func() bool {
		n := idds.last().Totals
		return n.Startups == 3 && n.StartupSeconds == 3 && n.WallSeconds < 1
	})
	p.stop()
	_ = p.wait()
}

func TestASlotWhosePayloadIsGoneTakesNothingUntilItIsBack(t *testing.T) {
	t.Parallel()
	r, starts, busy := newRig(t), newStarter(), make(gate)
	w := &runner{prepare: starts.prepare, do: func(ctx context.Context, _ message.Slice) error { return busy.wait(ctx) }}
	r.pilot(pilot.Config{Slots: 2, Run: run}, w, nil)
	slots := []int{<-starts.begun, <-starts.begun}
	starts.ready <- 0
	starts.ready <- 0
	await(t, "both slots", func() bool { return r.queue().Consumers == 2 })
	starts.lose(slots[0])
	if again := <-starts.begun; again != slots[0] {
		t.Errorf("slot %d is started again", again)
	}
	for i := range 3 {
		r.publish(slice(number(i), 1))
	}
	await(t, "the other slot's slice", func() bool { return r.queue().InFlight == 1 })
	if q := r.queue(); q.Consumers != 1 || q.Depth != 3 && q.Depth != 2 {
		t.Errorf("%+v", q)
	}
	starts.ready <- 0
	await(t, "a slice for each", func() bool { return r.queue().InFlight == 2 })
	close(busy)
	for range 3 {
		r.next()
	}
}

func TestAPayloadThatIsGoneWithASliceInHandIsStartedAfterTheResult(t *testing.T) {
	t.Parallel()
	r, starts := newRig(t), newStarter()
	w := &runner{prepare: starts.prepare, do: func(context.Context, message.Slice) error {
		starts.lose(0)
		return exitcode.New(exitcode.PayloadCrashed, "gone")
	}}
	r.pilot(pilot.Config{Run: run}, w, nil)
	for i := range 2 {
		<-starts.begun
		r.publish(slice(number(i), 1))
		starts.ready <- 0
		if got := r.next(); got.Content.State != message.StateFailed {
			t.Error(got.Content.State)
		}
	}
	<-starts.begun
}

func TestAPayloadThatDoesNotBecomeReadyIsTriedAgainAndSaid(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), &reporter{}
	var tries atomic.Int32
	heal := make(gate)
	p := r.pilot(pilot.Config{Run: run, SiteHold: 10 * time.Millisecond}, &runner{prepare: func(context.Context, int) (payload.Startup, error) {
		tries.Add(1)
		select {
		case <-heal:
			return payload.Startup{}, nil
		default:
			return payload.Startup{}, exitcode.New(exitcode.SiteNoProgram, "no libCore.so")
		}
	}}, idds)
	r.publish(slice("one", 1))
	await(t, "the third try", func() bool { return tries.Load() >= 3 })
	await(t, "the reason", func() bool { return strings.Contains(idds.last().Hold, "site_no_program: no libCore.so") })
	if q := r.queue(); q.Consumers > 0 {
		t.Errorf("%+v", q)
	}
	close(heal)
	r.next()
	await(t, "the end of the hold", func() bool { return idds.last().Hold == "" })
	p.stop()
	_ = p.wait()
}

func TestAPilotWhosePayloadsDoNotBecomeReadyLeaves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.pilot(pilot.Config{Run: run, Slots: 2, SiteHold: time.Millisecond, NodeHold: 20 * time.Millisecond}, &runner{prepare: func(context.Context, int) (payload.Startup, error) {
		return payload.Startup{}, exitcode.New(exitcode.PayloadFailed, "no licence")
	}}, nil)
	if err := p.wait(); exitcode.From(err) != exitcode.PayloadFailed || !strings.Contains(err.Error(), "no licence") {
		t.Error(err)
	}
}

func TestASignalEndsAStart(t *testing.T) {
	t.Parallel()
	r, starts := newRig(t), newStarter()
	p := r.pilot(pilot.Config{Run: run, DrainTime: time.Hour}, &runner{prepare: starts.prepare}, nil)
	<-starts.begun
	p.stop()
	_ = p.wait()
}

func TestASliceThatNoPayloadWasReadyForIsGivenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var tries atomic.Int32
	r.pilot(pilot.Config{Run: run, SiteHold: 10 * time.Millisecond}, &runner{do: func(context.Context, message.Slice) error {
		if tries.Add(1) == 1 {
			return fmt.Errorf("%w: %w", payload.ErrNotReady, exitcode.New(exitcode.PayloadFailed, "it ended before it was ready"))
		}
		return nil
	}}, nil)
	r.publish(slice("one", 1))
	if got := r.next(); got.Content.State != message.StateDone {
		t.Error(got.Content.State)
	}
}

func TestAStartThatDoesNotFitIntoTheSlotIsNotBegun(t *testing.T) {
	t.Parallel()
	r, starts := newRig(t), newStarter()
	p := r.pilotIn(endsIn(time.Hour), pilot.Config{Run: run, SliceTime: 50 * time.Minute, EndReserve: time.Minute}, &runner{prepare: func(ctx context.Context, slot int) (payload.Startup, error) {
		s, err := starts.prepare(ctx, slot)
		s.Took = 30 * time.Minute
		return s, err
	}}, nil)
	<-starts.begun
	starts.ready <- 0
	await(t, "the slot", func() bool { return r.queue().Consumers == 1 })
	starts.lose(0) // another start would take half an hour, as the first one, and leave none for a slice
	if err := p.wait(); exitcode.From(err) != exitcode.Walltime || !strings.Contains(err.Error(), "no time for another slice") {
		t.Error(err)
	}
	if len(starts.begun) > 0 {
		t.Error("it was started")
	}
}
