package pilot

import (
	"context"
	"log/slog"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// readiness is whether the payload in a slot could work on a slice at once. A slot whose payload cannot holds no subscription: no
// slice waits for a payload that starts.
type readiness struct {
	ready bool
	gone  <-chan struct{} // closed when it is not ready any more
}

// readyNow says that nothing is to be done.
func (r readiness) readyNow() bool {
	select {
	case <-r.gone:
		return false
	default:
		return r.ready
	}
}

// awaitFit waits until the node is fit, and returns a context that ends when it no longer is; nil when take has ended. Before it
// waits it calls before: nothing is subscribed meanwhile.
func (p *Pilot) awaitFit(take context.Context, before func()) (while context.Context) {
	waiting := false
	defer func() {
		if waiting {
			p.resting(-1)
		}
	}()
	for {
		while, changed, hold := p.node.State()
		if while != nil {
			return while
		}
		before()
		if hold != "" && !waiting {
			waiting = true
			p.resting(1)
		}
		select {
		case <-changed:
		case <-take.Done():
			return nil
		}
	}
}

// prepare waits until the slot's payload is ready. It returns a context that ends when it no longer is, and what ends that; false
// when ctx has ended. Before it waits it calls before: nothing is subscribed meanwhile.
func (s *slot) prepare(ctx context.Context, stop context.CancelCauseFunc, before func()) (while context.Context, end context.CancelFunc, ok bool) {
	if !s.payload.readyNow() && !s.becomeReady(ctx, stop, before) {
		return nil, nil, false
	}
	while, end = context.WithCancel(ctx)
	if gone := s.payload.gone; gone != nil {
		go func() {
			select {
			case <-gone:
				end()
			case <-while.Done():
			}
		}()
	}
	return while, end, true
}

// becomeReady has the payload started until it is ready, resting between two tries; false when ctx has ended. The pilot leaves
// when no slot has had a ready payload for the hold: with the next one this slot would fare no better, but another node may.
func (s *slot) becomeReady(ctx context.Context, stop context.CancelCauseFunc, before func()) bool {
	before()
	s.p.resting(1)
	defer s.p.resting(-1)
	if s.payload.ready { // one payload less that may run, so that nothing is taken for it
		select {
		case <-s.p.payloads:
		case <-ctx.Done():
			return false
		}
		s.payload.ready = false
		s.p.notReady()
	}
	began := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		if cause := s.p.noTime(0, s.p.startupTime()); cause != nil {
			if s.p.noneReady() {
				stop(cause)
			}
			<-ctx.Done()
			break
		}
		started, err := s.p.runner.Prepare(ctx, s.number)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			if started.Took > 0 {
				attrs := []slog.Attr{slog.Duration("took", started.Took)}
				if started.Replaces != "" {
					attrs = append(attrs, slog.String("the_one_before", started.Replaces))
				}
				s.log.LogAttrs(ctx, slog.LevelInfo, "payload is ready", attrs...)
			}
			s.payload = readiness{ready: true, gone: started.Gone}
			s.p.nowReady(started.Took)
			s.p.payloads <- struct{}{}
			return true
		}
		s.log.ErrorContext(ctx, "payload does not become ready", slog.Any("payload_logs", started.Logs), logging.Err(err))
		s.p.sayUnready(err)
		if held := time.Since(began); held >= s.p.cfg.NodeHold && s.p.noneReady() {
			stop(err)
			break
		}
		s.p.rest(ctx, n)
	}
	return false
}

// nowReady counts a slot whose payload has become ready.
func (p *Pilot) nowReady(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteStart(took)
	p.prepared++
	if p.unready != "" {
		p.unready = ""
		p.heart.Soon()
	}
}

func (p *Pilot) notReady() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prepared--
}

func (p *Pilot) noneReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prepared == 0
}

// noteStart counts a start of a payload; 0 is none. The caller holds p.mu.
func (p *Pilot) noteStart(took time.Duration) {
	if took == 0 {
		return
	}
	p.totals.Startups++
	p.totals.StartupSeconds += took.Seconds()
	p.startup = max(p.startup, took)
}

// sayUnready notes why a payload does not become ready, which is told while none is.
func (p *Pilot) sayUnready(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prepared == 0 {
		p.unready = "the payload does not become ready: " + exitcode.From(err).Name + ": " + logging.Redact(err.Error())
		p.heart.Soon()
	}
}

// startupTime is the longest that a payload has taken to become ready here.
func (p *Pilot) startupTime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startup
}
