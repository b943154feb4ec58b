package stomp

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/go-stomp/stomp/v3/frame"
)

// Message is one delivery.
type Message struct {
	Destination, ID, Subscription string
	// AckID is what acknowledges it on the connection that delivered it, and on no other.
	AckID  string
	Header *frame.Header
	Body   []byte
}

// SubscribeOptions say what to receive.
type SubscribeOptions struct {
	// ID must be unique on the connection; one is made when empty.
	ID          string
	Destination string
	Selector    string
	// Ack is auto, client or client-individual (the default).
	Ack string
	// Window 1 keeps exactly one unacknowledged message here; 0 leaves it to the broker; more is bytes on Artemis.
	Window int
	// Headers are further pairs of key and value.
	Headers []string
}

// Subscription receives messages until Unsubscribe or the end of the connection.
type Subscription struct {
	conn  *Conn
	id    string
	inbox *inbox
}

// Subscribe returns when the broker has confirmed.
func (c *Conn) Subscribe(ctx context.Context, o SubscribeOptions) (*Subscription, error) {
	c.mu.Lock()
	if o.ID == "" {
		c.nextID++
		o.ID = "s" + strconv.FormatUint(c.nextID, 10)
	}
	if c.subs[o.ID] != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("subscribing to %s: id %s is in use", o.Destination, o.ID)
	}
	s := &Subscription{conn: c, id: o.ID, inbox: newInbox()}
	c.wg.Go(s.inbox.pump)
	c.subs[o.ID] = s
	c.mu.Unlock()

	f := frame.New(frame.SUBSCRIBE, frame.Id, o.ID, frame.Destination, o.Destination,
		frame.Ack, cmp.Or(o.Ack, frame.AckClientIndividual))
	if o.Selector != "" {
		f.Header.Add("selector", o.Selector)
	}
	switch {
	case o.Window == 1:
		// Artemis reads both as bytes, and any message is larger than 1; Classic reads the first as messages.
		f.Header.Add("activemq.prefetchSize", "1")
		f.Header.Add("consumer-window-size", "0")
	case o.Window > 1:
		f.Header.Add("consumer-window-size", strconv.Itoa(o.Window))
	}
	for i := 0; i+1 < len(o.Headers); i += 2 {
		f.Header.Add(o.Headers[i], o.Headers[i+1])
	}
	r, err := c.request(ctx, f)
	if err == nil {
		err = r.Wait(ctx)
	}
	if err != nil {
		s.drop()
		return nil, fmt.Errorf("subscribing to %s: %w", o.Destination, err)
	}
	// The connection may have ended before the subscription was known to it.
	select {
	case <-c.done:
		s.drop()
		return nil, fmt.Errorf("subscribing to %s: %w", o.Destination, c.err)
	default:
		return s, nil
	}
}

// Messages delivers in order and is closed when the subscription or the connection ends.
func (s *Subscription) Messages() <-chan *Message { return s.inbox.out }

// Unsubscribe returns when the broker has confirmed: from then on what was delivered and not acknowledged is back in the
// queue, uncounted.
func (s *Subscription) Unsubscribe(ctx context.Context) error {
	r, err := s.conn.request(ctx, frame.New(frame.UNSUBSCRIBE, frame.Id, s.id))
	if err == nil {
		err = r.Wait(ctx)
	}
	s.drop()
	if err != nil {
		return fmt.Errorf("unsubscribing: %w", err)
	}
	return nil
}

func (s *Subscription) drop() {
	s.conn.mu.Lock()
	delete(s.conn.subs, s.id)
	s.conn.mu.Unlock()
	s.inbox.close()
}

// inbox passes messages on without ever making its writer wait: the reader of the connection must go on to see receipts and
// heart-beats. What it can hold is bounded by the broker's window.
type inbox struct {
	out    chan *Message
	mu     sync.Mutex
	queue  []*Message
	wake   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newInbox() *inbox {
	return &inbox{out: make(chan *Message), wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (b *inbox) put(m *Message) {
	b.mu.Lock()
	b.queue = append(b.queue, m)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) close() { b.once.Do(func() { close(b.closed) }) }

// pump ends when the inbox is closed; what is still queued then was never seen by the consumer and is the broker's again.
func (b *inbox) pump() {
	defer close(b.out)
	for {
		b.mu.Lock()
		batch := b.queue
		b.queue = nil
		b.mu.Unlock()
		for _, m := range batch {
			select {
			case b.out <- m:
			case <-b.closed:
				return
			}
		}
		select {
		case <-b.wake:
		case <-b.closed:
			return
		}
	}
}
