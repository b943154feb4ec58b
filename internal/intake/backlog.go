package intake

import (
	"sync"
	"time"

	"tfpilot/internal/broker"
)

const (
	// fewMessages and fewBytes are well below what a broker sends ahead, also when messages of others fill half of that: when a
	// batch is smaller and nothing follows it, nothing more was waiting.
	fewMessages = Batch / 4
	fewBytes    = Window / 4
	// doubts is how many such batches in a row it takes after another one: a broker that is slow pauses amid a backlog, too.
	doubts = 10
)

// Backlog knows whether a destination may hold more for us than what has come. To be at work is no backlog: with messages of any
// run flowing there is nearly always one between its arrival and its acknowledgement. Nor does the age of what is in hand say
// anything: what comes first after minutes of waiting in the queue has only just come.
type Backlog struct {
	mu         sync.Mutex
	undigested int       // messages that have come and are not acknowledged
	drained    time.Time // the last time at which nothing more was waiting
	settled    time.Time // when the last batch was done with
	doubt      int       // how many batches have yet to show that nothing is waiting behind them
}

// came notes a message.
func (b *Backlog) came(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.undigested == 0 && b.doubt == 0 { // until now there was nothing
		b.drained = now
	}
	b.undigested++
}

// dropped notes a message that came and is not handled.
func (b *Backlog) dropped() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.undigested--
}

// isLast reports whether nothing follows a batch after which nothing came for a while.
func (b *Backlog) isLast(deliveries []*broker.Delivery) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := 0
	for _, d := range deliveries {
		size += len(d.Body)
	}
	return b.undigested <= len(deliveries) && len(deliveries) <= fewMessages && size <= fewBytes
}

// settle notes that n messages were done with. They were gathered at a time, and were committed and acknowledged as the last that
// were waiting, or not.
func (b *Backlog) settle(n int, gathered time.Time, last bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.undigested -= n
	b.settled = now
	if !last {
		b.doubt = doubts
		return
	}
	b.doubt = max(0, b.doubt-1)
	if b.doubt == 0 {
		b.drained = gathered
	}
}

// Lasts reports whether something may have been waiting for longer than limit. Where nothing comes for as long, nothing is
// waiting, whatever the last batch looked like.
func (b *Backlog) Lasts(now time.Time, limit time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.undigested == 0 && b.doubt > 0 && now.Sub(b.settled) > limit {
		b.doubt = 0
	}
	return (b.undigested > 0 || b.doubt > 0) && now.Sub(b.drained) > limit
}
