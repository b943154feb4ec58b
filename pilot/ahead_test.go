package pilot_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/pilot"
)

func TestWhereTheBrokerTakesLongerThanThePayloadASlotHoldsSlicesAhead(t *testing.T) {
	t.Parallel()
	const slots = 2
	r, idds := newRig(t), &reporter{}
	var now, most atomic.Int32
	var slow atomic.Bool
	w := &runner{do: func(ctx context.Context, _ message.Slice) error {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		if slow.Load() {
			select {
			case <-time.After(30 * time.Millisecond): // a payload that takes its time
			case <-ctx.Done():
				return errGate
			}
		}
		return nil
	}}
	r.pilot(pilot.Config{Run: run, Slots: slots, Ahead: 3}, w, idds)
	next := 0
	work := func(n int) {
		for range n {
			r.publish(slice(number(next), 1))
			next++
		}
		for range n {
			r.next()
		}
	}
	work(20)
	await(t, "subscriptions beyond the slots", func() bool { return r.queue().Consumers == slots+3*slots })
	work(100)
	slow.Store(true)
	work(20)
	await(t, "only the slots' subscriptions", func() bool { return r.queue().Consumers == slots })
	slow.Store(false)
	await(t, "subscriptions beyond the slots again", func() bool {
		work(20)
		return r.queue().Consumers == slots+3*slots
	})
	await(t, "all acknowledgements", func() bool { q := r.queue(); return q.Acked == uint64(next) && q.Depth == 0 })
	if n := most.Load(); n > slots {
		t.Errorf("%d payloads at once on %d slots", n, slots)
	}
	for i := range next {
		if n := w.count(number(i)); n != 1 {
			t.Errorf("slice %d was worked on %d times", i, n)
		}
	}
}

func TestAPilotMayBeToldToHoldNothingAhead(t *testing.T) {
	t.Parallel()
	r, idds := newRig(t), &reporter{}
	r.pilot(pilot.Config{Run: run, Ahead: -1}, nil, idds)
	for i := range 20 {
		r.publish(slice(number(i), 1))
		r.next()
	}
	before := idds.count()
	await(t, "time to look at the pace", func() bool { return idds.count() > before+20 })
	if n := r.queue().Consumers; n != 1 {
		t.Errorf("%d subscriptions of one slot", n)
	}
}

// Two pilots of one slot: the first holds three slices ahead when payloads become long.
func TestSlicesHeldAheadGoBackWhenAPayloadTakesItsTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := gate(make(chan struct{}))
	var slow atomic.Bool
	first := &runner{do: func(ctx context.Context, _ message.Slice) error {
		if slow.Load() {
			return long.wait(ctx)
		}
		return nil
	}}
	r.pilot(pilot.Config{Run: run, Ahead: 3}, first, nil)
	for i := range 20 {
		r.publish(slice("quick-"+number(i), 1))
		r.next()
	}
	await(t, "subscriptions beyond the slot", func() bool { return r.queue().Consumers == 4 })
	slow.Store(true)
	for i := range 4 {
		r.publish(slice(number(i), 1))
	}
	begun := func() (n int) {
		for i := range 4 {
			n += first.count(number(i))
		}
		return n
	}
	await(t, "the first long payload", func() bool { return begun() == 1 })
	second := &runner{}
	r.pilot(pilot.Config{Run: run, Ahead: 0}, second, nil)
	for range 3 {
		r.next() // of the second pilot, while the first one's payload goes on
	}
	if n := begun(); n != 1 {
		t.Errorf("%d payloads were begun on one slot", n)
	}
	close(long)
	r.next()
	await(t, "all acknowledgements", func() bool { q := r.queue(); return q.Acked == 24 && q.Depth == 0 && q.InFlight == 0 })
}

func TestASubscriptionHeldAheadThatEndsIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var faulty atomic.Bool
	w := &runner{do: func(context.Context, message.Slice) error {
		if faulty.Load() {
			return exitcode.New(exitcode.SiteNoSpace, "disk full")
		}
		return nil
	}}
	r.pilot(pilot.Config{Run: run, Ahead: 3, SiteHold: 20 * time.Millisecond, MaxReleases: 1000}, w, nil)
	next := 0
	quick := func() {
		r.publish(slice(number(next), 1))
		next++
		r.next()
	}
	for range 20 {
		quick()
	}
	await(t, "subscriptions beyond the slot", func() bool { return r.queue().Consumers == 4 })
	faulty.Store(true)
	for range 4 {
		r.publish(slice(number(next), 1))
		next++
	}
	await(t, "the fault at every subscription", func() bool { return r.queue().Consumers <= 1 })
	faulty.Store(false)
	for range 4 {
		r.next()
	}
	await(t, "subscriptions beyond the slot again", func() bool {
		quick()
		return r.queue().Consumers == 4
	})
}

func TestTheInputOfASliceThatWaitsForItsTurnIsFetchedMeanwhile(t *testing.T) {
	t.Parallel()
	r, w := newRig(t), &runner{}
	var slow atomic.Bool
	w.do = func(context.Context, message.Slice) error { // lets others wait for their turn, where any are held
		for end := time.Now().Add(100 * time.Millisecond); slow.Load() && w.prefetched.Load() == 0 && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		return nil
	}
	r.pilot(pilot.Config{Run: run, Ahead: 3}, w, nil)
	next := 0
	work := func(n int) {
		for range n {
			r.publish(slice(number(next), 1))
			next++
		}
		for range n {
			r.next()
		}
	}
	await(t, "a slice whose input was fetched while it waited", func() bool {
		work(16)
		slow.Store(true)
		work(4)
		slow.Store(false)
		return w.prefetched.Load() > 0
	})
}
