package stomp

import (
	"fmt"
	"runtime"
	"time"
)

const (
	// stallLimit bounds a write when no heart-beats are agreed on.
	stallLimit = time.Minute
	// keepBuffer is the largest buffer that is kept for the next frames.
	keepBuffer = 1 << 20
)

var beat = []byte{'\n'}

// write is the only writer of the connection. It sends what is queued as soon as it can, so that frames queued meanwhile go
// together, and a heart-beat in every interval.
func (c *Conn) write(every time.Duration) {
	var beats, checks <-chan time.Time
	if every > 0 {
		// A little early: the broker's patience counts from when the beat arrives.
		t := time.NewTicker(every * 4 / 5)
		defer t.Stop()
		beats = t.C
	}
	if c.receiptLimit > 0 {
		t := time.NewTicker(c.receiptLimit / 4)
		defer t.Stop()
		checks = t.C
	}
	// A write that waits for longer than we may be silent has lost the link, whatever still comes in: the broker hears
	// nothing from us.
	stall := time.Duration(tolerance * float64(every))
	if stall == 0 {
		stall = stallLimit
	}
	var spare []byte
	for {
		b := beat
		select {
		case <-c.done:
			return
		case now := <-checks:
			if err := c.overdue(now); err != nil {
				c.end(err)
				return
			}
			continue
		case <-beats:
		case <-c.wake:
			runtime.Gosched() // whoever else is about to queue a frame does so now, and it goes in the same piece
			b = c.takeOut(spare)
			// Whatever b holds, the former spare belongs to the senders now.
			if spare = b; cap(spare) > keepBuffer {
				spare = nil
			}
			if len(b) == 0 {
				continue
			}
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(stall))
		if _, err := c.nc.Write(b); err != nil {
			c.end(fmt.Errorf("writing to the broker: %w", err))
			return
		}
	}
}

// takeOut returns what is queued; spare takes its place.
func (c *Conn) takeOut(spare []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out
	c.out = spare[:0]
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
	return b
}

// overdue finds a request that was not answered in time.
func (c *Conn) overdue(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.receipts {
		if now.Sub(r.sent) > c.receiptLimit {
			return fmt.Errorf("%w for %s", ErrNoReceipt, now.Sub(r.sent).Round(time.Second))
		}
	}
	return nil
}
