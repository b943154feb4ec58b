package intake

import (
	"time"

	"tfpilot/internal/broker"
)

// Came notes messages.
func (b *Backlog) Came(now time.Time, n int) {
	for range n {
		b.came(now)
	}
}

// Settle notes that messages were committed and acknowledged, all that were waiting or not, which was seen before.
func (b *Backlog) Settle(n int, gathered time.Time, last bool, now time.Time) {
	b.settle(n, gathered, last, now)
}

// IsLast reports whether nothing is waiting behind a batch.
func (b *Backlog) IsLast(batch []*broker.Delivery) bool { return b.isLast(batch) }
