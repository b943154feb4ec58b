package pilot

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tfpilot/internal/message"
	"tfpilot/wrapper"
)

// A slot holds one slice, so that no slice waits for one pilot while another could work on it. Where a payload takes less time than
// the broker takes to confirm its result and its acknowledgement, a slot would spend most of its time waiting; it then holds as
// many further slices, each on a subscription of its own, as fill that time. No more payloads run at once for that.
const (
	// aheadBelow is the time of a payload from which on nothing is held ahead: what is held waits for as long as that.
	aheadBelow = 20 * time.Millisecond
	// aheadMost bounds the subscriptions of a pilot beyond its slots.
	aheadMost = 64
	// settleMost bounds what one answer of the broker counts: an outage is no measure of it.
	settleMost = 100 * time.Millisecond
	// aheadLook is how often the measure is looked at.
	aheadLook = 100 * time.Millisecond
)

// pace is how long payloads and the broker take: means in which an eighth is the last one.
type pace struct {
	payload, broker time.Duration
	slices          int
}

func (m *pace) note(payload, broker time.Duration) {
	if m.slices++; m.slices == 1 {
		m.payload = payload
	}
	m.payload += (payload - m.payload) / 8
	m.broker += (min(broker, settleMost) - m.broker) / 8
}

// ahead is how many slices each slot may hold beyond the one that it works on.
func (m *pace) ahead(most int) int {
	const enough = 4 // to know
	if m.slices < enough || m.payload >= aheadBelow {
		return 0
	}
	return int(min(m.broker/max(m.payload, time.Microsecond), time.Duration(most)))
}

// workAhead holds as many further subscriptions as the pace asks for, until take ends.
func (p *Pilot) workAhead(take, work context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	var held []context.CancelFunc
	defer func() {
		for _, end := range held {
			end()
		}
	}()
	t := time.NewTicker(aheadLook)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-p.paced:
		case <-take.Done():
			return
		}
		p.mu.Lock()
		want := min(p.pace.ahead(p.cfg.Ahead)*p.cfg.Slots, aheadMost)
		if p.run == "" || p.rests > 0 {
			want = 0
		}
		p.mu.Unlock()
		for len(held) > want && want < len(held)/2+1 { // not for every wavering
			held[len(held)-1]()
			held = held[:len(held)-1]
		}
		for len(held) < want {
			ctx, end := context.WithCancel(take)
			held = append(held, end)
			s := &slot{p: p, number: p.cfg.Slots + len(held), log: p.log.With(slog.Int("ahead", len(held)))}
			all.Go(func() { s.runAhead(ctx, work) })
		}
	}
}

// runAhead takes slices until take ends, or one of them is not for it: the slots know what to do about that.
func (s *slot) runAhead(take, work context.Context) {
	c := s.p.subscribeSlices(s.p.runNumber())
	s.selects = true
	_ = s.cycle(take, work, c)
	s.leave(work, c)
}

// execute runs the payload when one of the slots is free for it.
func (p *Pilot) execute(ctx context.Context, m message.Slice) wrapper.Outcome {
	select {
	case p.payloads <- struct{}{}:
		defer func() { <-p.payloads }()
		return p.runner.Run(ctx, m)
	case <-ctx.Done():
		now := time.Now()
		return wrapper.Outcome{Started: now, Ended: now, Err: context.Cause(ctx)}
	}
}
