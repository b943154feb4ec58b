package idds

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
)

const (
	// storeWait and storeWaitMost are the pauses between two tries of what the store did not do; each is twice the one before.
	storeWait     = 50 * time.Millisecond
	storeWaitMost = 2 * time.Second
	// storeSaid is how often it is said that the store is still away.
	storeSaid = 30 * time.Second
)

// outage is what is known of a store that is not available. Whoever waits for it shares it: it is said once, and not by each.
type outage struct {
	mu          sync.Mutex
	since, said time.Time // zero when the store is there
	why         error     // what it said last
}

// outlast tries work again while the store is not available, until ctx ends. What is not stored meanwhile is not acknowledged, and
// stays with the broker.
func (s *Service) outlast(ctx context.Context, work func(context.Context) error) error {
	waited := false
	for wait := storeWait; ; wait = min(2*wait, storeWaitMost) {
		err := work(ctx)
		if !errors.Is(err, ledger.ErrUnavailable) {
			if err == nil && waited { // others' success says nothing: a full store can be read
				s.storeBack(ctx)
			}
			return err
		}
		waited = true
		s.storeAway(ctx, err)
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *Service) storeAway(ctx context.Context, err error) {
	o, now := &s.outage, time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = now
	}
	o.why = err
	if now.Sub(o.said) >= storeSaid {
		o.said = now
		s.log.WarnContext(ctx, "the store is not available; nothing is acknowledged until it is", logging.Err(err))
	}
}

func (s *Service) storeBack(ctx context.Context) {
	o := &s.outage
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		s.log.InfoContext(ctx, "the store is back", slog.Duration("after", time.Since(o.since).Round(time.Millisecond)))
		o.since, o.said = time.Time{}, time.Time{}
	}
}
