package intake

import (
	"slices"

	"tfpilot/internal/broker"
)

const (
	// leftMessages is how many messages of others fill half a window where it counts messages (ActiveMQ Classic).
	leftMessages = 100
	// mostListeners bounds the subscriptions to one destination.
	mostListeners = 100
)

// leftAlone counts the messages of others that a destination's subscriptions hold and must not acknowledge. They fill the window:
// before it is full there has to be another subscription, or what is ours behind them would never come. Given back they would
// come again at once.
type leftAlone struct {
	most       int // bytes for each subscription
	generation uint64
	bytes, n   int
	extra      int // further subscriptions
}

// add notes what was not acknowledged of a batch and says whether another subscription is needed.
func (l *leftAlone) add(deliveries, ours []*broker.Delivery, inMessages bool) bool {
	for _, d := range deliveries {
		if slices.Contains(ours, d) {
			continue
		}
		if d.Generation > l.generation { // a new connection, to which all come again
			l.generation, l.bytes, l.n = d.Generation, 0, 0
		}
		l.bytes += len(d.Body)
		l.n++
	}
	full := l.bytes / l.most
	if inMessages {
		full = max(full, l.n/leftMessages)
	}
	if full <= l.extra || l.extra+1 >= mostListeners {
		return false
	}
	l.extra++
	return true
}
