package msgqueue

import (
	"log/slog"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/selector"
)

// restore takes up what was left on disk.
func (a *Addresses) restore(was msgstore.Restored) {
	a.nextID = was.NextID
	if was.IDs != nil {
		a.seen = was.IDs
	}
	for _, k := range was.Subscriptions {
		sel, err := selector.Parse(k.Selector, a.how.numbers)
		if err != nil {
			a.log.Warn("a durable subscription has a selector that this mode does not know; it takes everything now",
				slog.String("subscription", k.Name), slog.Any("err", err))
		}
		a.durable(k.Name, k.Address, sel).kept = k
	}
	for _, m := range was.Messages {
		q := a.queues[m.Queue]
		if q == nil {
			q = a.shared(m.Queue)
		}
		if a.how.forgetsFailures {
			m.Deliveries = 0
		}
		q.pending.PushBack(m)
		q.bytes += m.Size()
	}
	if len(was.Messages) > 0 || len(was.Subscriptions) > 0 {
		a.log.Info("took up the broker's state", slog.Int("messages", len(was.Messages)), slog.Int("durable_subscriptions", len(was.Subscriptions)))
	}
}
