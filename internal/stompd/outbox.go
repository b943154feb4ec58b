package stompd

import (
	"sync"

	"github.com/go-stomp/stomp/v3/frame"
)

// outboxLimit is how many frames may wait for a slow receiver before automatic subscriptions get no more. Others are bounded
// by their window, receipts by what the client sends.
const outboxLimit = 4096

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
	full   bool
	closed bool
	wake   chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) put(f *frame.Frame) { o.add(outgoing{frame: f}) }

func (o *outbox) add(f outgoing) {
	o.mu.Lock()
	if !o.closed {
		o.frames = append(o.frames, f)
	}
	o.mu.Unlock()
	o.signal()
}

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
	if len(o.frames) >= outboxLimit {
		o.full = true
		return false
	}
	return true
}

// take returns everything that waits; wasFull says that somebody was refused meanwhile.
func (o *outbox) take(spare []outgoing) (frames []outgoing, wasFull, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.frames = o.frames, spare[:0]
	wasFull, o.full = o.full, false
	return frames, wasFull, o.closed
}

// close lets the writer send what is there and end.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
}
