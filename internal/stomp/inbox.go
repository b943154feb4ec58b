package stomp

import "sync"

// inbox passes messages on without ever making the reader wait: it has to go on to see receipts and heart-beats. As long as
// the consumer keeps up, put hands messages straight to the channel; when it does not, they wait in a list that a goroutine
// of its own moves on.
type inbox struct {
	out    chan *Message
	wg     *sync.WaitGroup // of the connection, whose reader alone calls put
	closed chan struct{}
	over   chan struct{} // closed when nothing is delivered any more
	limit  int

	mu      sync.Mutex
	waiting []*Message
	bytes   int // of the bodies in waiting
	pumping bool
	ended   bool
}

func newInbox(wg *sync.WaitGroup, limit int) *inbox {
	return &inbox{out: make(chan *Message, 16), wg: wg, closed: make(chan struct{}), over: make(chan struct{}), limit: limit}
}

// put takes a message; false says that there is no room.
func (b *inbox) put(m *Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return true
	}
	if !b.pumping {
		select {
		case b.out <- m:
			return true
		default:
		}
		b.pumping = true
		b.wg.Go(b.pump)
	}
	b.waiting = append(b.waiting, m)
	b.bytes += len(m.Body)
	return b.bytes <= b.limit
}

// pump moves what waits until nothing does, or the inbox is closed.
func (b *inbox) pump() {
	for {
		b.mu.Lock()
		if b.ended || len(b.waiting) == 0 {
			b.pumping = false
			if b.ended {
				b.finish()
			}
			b.mu.Unlock()
			return
		}
		batch := b.waiting
		b.waiting = nil
		b.mu.Unlock()
		for _, m := range batch {
			select {
			case b.out <- m:
			case <-b.closed:
			}
			b.mu.Lock()
			b.bytes -= len(m.Body)
			b.mu.Unlock()
		}
	}
}

// close returns when nothing is delivered any more.
func (b *inbox) close() {
	b.mu.Lock()
	if !b.ended {
		b.ended = true
		close(b.closed)
		if !b.pumping { // else the pump, the only other sender, does it when it has stopped
			b.finish()
		}
	}
	b.mu.Unlock()
	<-b.over
}

// finish drops what nobody took and closes the channel.
func (b *inbox) finish() {
	b.waiting, b.bytes = nil, 0
	for {
		select {
		case <-b.out:
		default:
			close(b.out)
			close(b.over)
			return
		}
	}
}
