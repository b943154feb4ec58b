// Package storewatch lives through a store that is full, read-only, locked or gone: [Watch.Outlast] tries work again until it is back,
// and [Watch.Health] says how it is.
package storewatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/pause"
)

const (
	// wait and waitMost are the pauses between two tries of what the store did not do; each is twice the one before.
	wait     = 50 * time.Millisecond
	waitMost = 2 * time.Second
	// sayEvery is how often it is said that the store is still away.
	sayEvery = 30 * time.Second
	// PulseEvery is how often it is to be tried whether the store can be written: reading alone does not show that it is full or
	// read-only.
	PulseEvery = 2 * time.Second
)

// Watch is what is known of a store. Whoever waits for it shares it: that it is away is said once, and not by each.
type Watch struct {
	store ledger.Store
	log   *slog.Logger
	pulse pulse

	mu    sync.Mutex
	since time.Time // zero when nobody waits
	said  time.Time // kept when it is back: one that comes and goes fills no log
	why   error     // what it said last
}

// New watches a store.
func New(store ledger.Store, log *slog.Logger) *Watch { return &Watch{store: store, log: log} }

// Outlast tries work again while the store is not available, until ctx ends. What is not stored meanwhile is not acknowledged, and
// stays with the broker.
func (w *Watch) Outlast(ctx context.Context, work func(context.Context) error) error {
	waited := false
	for pausing := wait; ; pausing = min(2*pausing, waitMost) {
		err := work(ctx)
		if !errors.Is(err, ledger.ErrUnavailable) {
			if err == nil && waited { // others' success says nothing: a full store can be read
				w.back(ctx)
			}
			return err
		}
		waited = true
		w.away(ctx, err)
		if err := pause.For(ctx, pausing); err != nil {
			return err
		}
	}
}

func (w *Watch) away(ctx context.Context, err error) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		w.since = now
	}
	w.why = err
	if now.Sub(w.said) >= sayEvery {
		w.said = now
		w.log.WarnContext(ctx, "the store is not available; nothing is acknowledged until it is", logging.Err(err))
	}
}

func (w *Watch) back(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.since.IsZero() && !w.said.Before(w.since) { // or nobody has heard that it was away
		w.log.InfoContext(ctx, "the store is back", slog.Duration("after", time.Since(w.since).Round(time.Millisecond)))
	}
	w.since = time.Time{}
}

// Try tries whether the store can be written. That it cannot is for Health to say, and ends nothing.
func (w *Watch) Try(ctx context.Context) {
	w.pulse.begin(time.Now())
	err := w.store.Update(ctx, func(tx ledger.Tx) error { return tx.Touch() })
	if ctx.Err() == nil {
		w.pulse.end(err, time.Now())
	}
}

// Health is what the last try says and, when work waits for the store, that: a full disk may have room for a try.
func (w *Watch) Health(now time.Time) document.HealthPart {
	part := w.pulse.health(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if part.OK && !w.since.IsZero() {
		part.OK, part.Since, part.Details = false, w.since.UTC(), "work waits for it: "+logging.Redact(w.why.Error())
	}
	return part
}
