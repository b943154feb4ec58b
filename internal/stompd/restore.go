package stompd

import (
	"errors"
	"log/slog"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/msgstore"
	"tfpilot/internal/seglog"
	"tfpilot/internal/selector"
)

// restore opens the state of a broker and takes up what it was doing.
func (b *Broker) restore() error {
	options := b.cfg.Log
	options.Logger = b.log
	disk, was, err := msgstore.Open(b.cfg.State, options, b.cfg.IDCacheSize)
	switch {
	case errors.Is(err, seglog.ErrNewer):
		return exitcode.New(exitcode.StoreVersion, "opening the broker's state: %w", err)
	case err != nil:
		return exitcode.New(exitcode.StoreFailed, "opening the broker's state: %w", err)
	}
	b.disk, b.nextID, b.seen = disk, was.NextID, was.IDs
	for _, k := range was.Subscriptions {
		sel, err := selector.Parse(k.Selector, b.how.numbers)
		if err != nil {
			b.log.Warn("a durable subscription has a selector that this mode does not know; it takes everything now",
				slog.String("subscription", k.Name), slog.Any("err", err))
		}
		b.durable(k.Name, k.Address, sel).kept = k
	}
	for _, m := range was.Messages {
		q := b.queues[m.Queue]
		if q == nil {
			q = b.shared(m.Queue)
		}
		if b.how.forgetsFailures {
			m.Deliveries = 0
		}
		q.pending.PushBack(m)
		q.bytes += size(m)
	}
	if len(was.Messages) > 0 || len(was.Subscriptions) > 0 {
		b.log.Info("took up the broker's state", slog.Int("messages", len(was.Messages)), slog.Int("durable_subscriptions", len(was.Subscriptions)))
	}
	return nil
}
