package idds

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

const (
	// pulseEvery is how often it is tried whether the store can be written: reading alone does not show that it is full or read-only.
	pulseEvery = 2 * time.Second
	// pulseLimit is how long a write may be under way before that is said.
	pulseLimit = 3 * time.Second
)

// pulse is how the last tries to write went.
type pulse struct {
	mu    sync.Mutex
	began time.Time // of the one under way, zero when there is none
	tried bool
	err   error
	since time.Time // when it began to be as it is
}

func (p *pulse) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.began = now
}

func (p *pulse) end(err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tried || (err == nil) != (p.err == nil) {
		p.since = now
	}
	p.began, p.tried, p.err = time.Time{}, true, err
}

// health says how the store is.
func (p *pulse) health(now time.Time) message.HealthPart {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := message.HealthPart{Name: "store", OK: true, Details: "can be written", Since: p.since.UTC()}
	switch took := now.Sub(p.began); {
	case !p.began.IsZero() && took > pulseLimit:
		part.OK, part.Since = false, p.began.UTC()
		part.Details = "a write has been under way for " + took.Round(time.Second).String() + ": somebody has locked it, or its disk or server hangs"
	case !p.tried:
		part.OK, part.Details = false, "was not written to yet"
	case p.err != nil:
		part.OK, part.Details = false, logging.Redact(p.err.Error())
	}
	return part
}

// watchStore tries now and then whether the store can be written. That it cannot is for Health to say, and ends nothing.
func (s *Service) watchStore(ctx context.Context) error {
	s.pulse.begin(time.Now())
	err := s.store.Update(ctx, func(tx ledger.Tx) error { return tx.Touch() })
	if ctx.Err() == nil {
		s.pulse.end(err, time.Now())
	}
	return nil
}

// Health is what is wrong with the service, or with what it stands on.
func (s *Service) Health(context.Context) message.HealthDocument {
	now := time.Now()
	doc := message.HealthDocument{At: now.UTC(), OK: true, Parts: []message.HealthPart{s.storeHealth(now), s.brokerHealth(), s.subscribedHealth(), s.backlogHealth()}}
	for _, p := range doc.Parts {
		doc.OK = doc.OK && p.OK
	}
	return doc
}

// storeHealth is what the last try says and, when work of the service waits for the store, that: a full disk may have room for a try.
func (s *Service) storeHealth(now time.Time) message.HealthPart {
	part := s.pulse.health(now)
	s.outage.mu.Lock()
	defer s.outage.mu.Unlock()
	if part.OK && !s.outage.since.IsZero() {
		part.OK, part.Since, part.Details = false, s.outage.since.UTC(), "work waits for it: "+logging.Redact(s.outage.why.Error())
	}
	return part
}

func (s *Service) brokerHealth() message.HealthPart {
	state := s.link.State()
	part := message.HealthPart{Name: "broker", OK: state.Connected, Since: state.Since.UTC()}
	if state.Connected {
		part.Details = fmt.Sprintf("connected to %s, which is %s", state.Addr, state.Server)
		return part
	}
	why := state.Err
	if why == nil {
		why = errors.New("no broker was found yet")
	}
	part.Details = logging.Redact("no connection: " + why.Error())
	return part
}

func (s *Service) subscribedHealth() message.HealthPart {
	if n := s.unready.Load(); n > 0 {
		return message.HealthPart{Name: "subscriptions", Details: fmt.Sprintf("the broker has not confirmed %d since the start", n)}
	}
	return message.HealthPart{Name: "subscriptions", OK: true, Details: "all were confirmed"}
}

func (s *Service) backlogHealth() message.HealthPart {
	if s.results.lasts(s.now(), behindLimit) {
		return message.HealthPart{Name: "backlog", Details: fmt.Sprintf("results have been waiting for more than %s: more come than are taken in", behindLimit)}
	}
	return message.HealthPart{Name: "backlog", OK: true, Details: "results are taken in as they come"}
}
