package pilot

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tfpilot/internal/document"
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

// heldAhead is one subscription beyond the slots.
type heldAhead struct {
	end  context.CancelFunc
	done chan struct{} // closed when it is given back
}

// workAhead holds as many further subscriptions as the pace asks for, until take ends.
func (p *Pilot) workAhead(take, work context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	var held []heldAhead
	var died time.Time // when one of them last ended by itself
	defer func() {
		for _, h := range held {
			h.end()
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
		now := time.Now()
		alive := slices.DeleteFunc(held, func(h heldAhead) bool {
			select {
			case <-h.done:
				h.end()
				return true
			default:
				return false
			}
		})
		if len(alive) < len(held) {
			died = now
		}
		held = alive
		want := p.wantAhead(now)
		for len(held) > want && want < len(held)/2+1 { // not for every wavering
			held[len(held)-1].end()
			held = held[:len(held)-1]
		}
		if now.Sub(died) < p.cfg.SiteHold/10 {
			continue // a fault of the site, or a message of others: the slots know what to do about that, and it may last
		}
		for len(held) < want {
			ctx, end := context.WithCancel(take)
			h := heldAhead{end, make(chan struct{})}
			held = append(held, h)
			s := &slot{p: p, number: int(p.cfg.Slots) + len(held), log: p.log.With(slog.Int("ahead", len(held))), ahead: ctx}
			all.Go(func() {
				defer close(h.done)
				s.runAhead(ctx, work)
			})
		}
	}
}

// wantAhead is how many slices are to be held ahead now: none for a slot whose payload already takes longer than it should. When
// that is so for all, whatever waits for its turn is given back.
func (p *Pilot) wantAhead(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == document.WorkerDraining {
		return 0
	}
	quick := int(p.cfg.Slots)
	for _, h := range p.inHand {
		if !h.RunningSince.IsZero() && h.result.IsZero() && now.Sub(h.RunningSince) > aheadBelow {
			quick--
		}
	}
	if quick <= 0 && len(p.inHand) > int(p.cfg.Slots) {
		close(p.giveWay)
		p.giveWay = make(chan struct{})
	}
	if p.run == "" || p.rests > 0 || p.node.Hold() != "" {
		return 0
	}
	return min(p.pace.ahead(p.cfg.Ahead)*max(quick, 0), aheadMost)
}

// runAhead takes slices until take ends, or one of them is not for it.
func (s *slot) runAhead(take, work context.Context) {
	c := s.subscribe()
	_ = s.cycle(take, work, c)
	s.leave(work, c)
}

// errNotBegun says that a slice is to be given back uncounted because others are before it.
var errNotBegun = errors.New("slice given back before it was begun")

// execute runs the payload when one of the slots is free for it. What waits for that is given back, with errNotBegun, when the
// payloads before it turn out to be long, or the pilot takes no more.
func (s *slot) execute(ctx context.Context, m message.Slice, k JournalKey) (wrapper.Outcome, error) {
	select {
	case <-s.p.payloads:
	default:
		s.p.mu.Lock()
		giveWay := s.p.giveWay
		s.p.mu.Unlock()
		defer s.prefetch(ctx, m)()
		var ended <-chan struct{}
		if s.ahead != nil {
			ended = s.ahead.Done()
		}
		select {
		case <-s.p.payloads:
		case <-giveWay:
			return wrapper.Outcome{}, errNotBegun
		case <-ended:
			return wrapper.Outcome{}, errNotBegun
		case <-ctx.Done():
			now := time.Now()
			return wrapper.Outcome{Started: now, Ended: now, Err: context.Cause(ctx)}, nil
		}
	}
	defer func() { s.p.payloads <- struct{}{} }()
	s.p.begun(k)
	return s.p.runner.Run(ctx, m), nil
}

// prefetch begins to bring the input of a slice that waits for its turn; end ends that.
func (s *slot) prefetch(ctx context.Context, m message.Slice) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var begun sync.WaitGroup
	begun.Go(func() { s.p.runner.Prefetch(ctx, m) })
	return func() {
		cancel()
		begun.Wait()
	}
}

// awaitFree waits until a slot is free for a payload.
func (p *Pilot) awaitFree(ctx context.Context) {
	select {
	case <-p.payloads:
		p.payloads <- struct{}{}
	case <-ctx.Done():
	}
}
