package stompd

import (
	"sync"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

const (
	// outboxLimit and outboxBytes are how much may wait for a slow receiver before automatic subscriptions get no more. Others
	// are bounded by their window.
	outboxLimit = 4096
	outboxBytes = 16 << 20
	// answersLimit is how much may wait before nothing more is done for the client: each request has an answer.
	answersLimit = 4 * outboxLimit
)

// outgoing is a frame on its way to a client.
type outgoing struct {
	frame *frame.Frame // nil: a heart-beat
	asked bool         // the fault that it was to have is done
	after uint64       // record that must be on disk before
}

// outbox is what waits to be written to one connection. Putting never waits.
type outbox struct {
	mu     sync.Mutex
	frames []outgoing
	bytes  int // of their bodies
	full   bool
	closed bool
	wake   chan struct{}
	taken  chan struct{} // tells who waits for room; holds one
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1), taken: make(chan struct{}, 1)} }

// add puts a frame; the writer does not know of it before signal.
func (o *outbox) add(f outgoing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.frames = append(o.frames, f)
		if f.frame != nil {
			o.bytes += len(f.frame.Body)
		}
	}
}

// signal tells the writer.
func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// room reports whether an automatic subscription may add; wasFull is kept for take, so that the subscriptions are served
// again when there is room.
func (o *outbox) room() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) >= outboxLimit || o.bytes >= outboxBytes {
		o.full = true
		return false
	}
	return true
}

// take returns everything that waits; wasFull says that somebody was refused meanwhile.
func (o *outbox) take(spare []outgoing) (frames []outgoing, wasFull, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.frames, o.bytes = o.frames, spare[:0], 0
	select {
	case o.taken <- struct{}{}:
	default:
	}
	wasFull, o.full = o.full, false
	return frames, wasFull, o.closed
}

// await waits until few enough answers are left, after a call of waiting; false when they are not, in time or before done.
func (o *outbox) await(limit time.Duration, done <-chan struct{}, waiting func()) bool {
	var late <-chan time.Time
	for {
		o.mu.Lock()
		ok := len(o.frames) < answersLimit
		o.mu.Unlock()
		if ok {
			return true
		}
		if late == nil {
			waiting()
			late = time.After(limit)
		}
		select {
		case <-o.taken:
		case <-late:
			return false
		case <-done:
			return false
		}
	}
}

// close lets the writer send what is there and end.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
}
