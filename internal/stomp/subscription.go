package stomp

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"
)

// Message is one delivery.
type Message struct {
	Destination, ID, Subscription string
	// AckID is what acknowledges it on the connection that delivered it, and on no other.
	AckID  string
	Header *frame.Header
	Body   []byte

	sub     *Subscription
	settled bool // an ACK was sent; guarded by the connection's lock
}

// SubscribeOptions say what to receive.
type SubscribeOptions struct {
	// ID must be unique on the connection; one is made when empty.
	ID          string
	Destination string
	// Selector is a condition on the headers of a message; all when empty.
	Selector string
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
	auto  bool
	inbox *inbox
	left  *Receipt // of the UNSUBSCRIBE, once it is queued; guarded by the connection's lock
}

// Subscribe returns when the broker has confirmed. A [*ServerError] is its refusal.
func (c *Conn) Subscribe(ctx context.Context, o SubscribeOptions) (*Subscription, error) {
	s := &Subscription{conn: c, id: o.ID, auto: o.Ack == frame.AckAuto}
	s.inbox = newInbox(&c.wg, c.maxQueued)
	r, err := c.request(ctx, nil, func(b []byte, _ *Receipt) ([]byte, error) {
		if s.id == "" {
			s.id = "s" + strconv.FormatUint(c.nextID+1, 10)
		}
		if c.subs[s.id] != nil {
			return b, fmt.Errorf("subscription id %q is in use", s.id)
		}
		b, err := c.version.subscribe(b, s.id, o)
		if err == nil {
			c.subs[s.id] = s
		}
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", o.Destination, err)
	}
	if err := r.Wait(ctx); err != nil {
		// When only the context has ended, the broker may have subscribed us, and a slice may be on its way to nobody.
		_, _ = s.leave(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("subscribing to %s: %w", o.Destination, err)
	}
	return s, nil
}

func (v version) subscribe(b []byte, id string, o SubscribeOptions) ([]byte, error) {
	b = append(b, "SUBSCRIBE\n"...)
	b = v.header(b, frame.Id, id)
	b = v.header(b, frame.Destination, o.Destination)
	b = v.header(b, frame.Ack, cmp.Or(o.Ack, frame.AckClientIndividual))
	if o.Selector != "" {
		b = v.header(b, "selector", o.Selector)
	}
	switch {
	case o.Window == 1:
		// Artemis reads both as bytes, and any message is larger than 1; Classic reads the first as messages.
		b = v.header(b, "activemq.prefetchSize", "1")
		b = v.header(b, "consumer-window-size", "0")
	case o.Window > 1:
		b = v.header(b, "consumer-window-size", strconv.Itoa(o.Window))
	}
	return v.headers(b, o.Headers)
}

// ID is the subscription's id on its connection.
func (s *Subscription) ID() string { return s.id }

// Messages delivers in order. It is closed, and what it still held is dropped, when the subscription or the connection ends:
// a message that can no longer be acknowledged is not worth starting on.
func (s *Subscription) Messages() <-chan *Message { return s.inbox.out }

// Unsubscribe returns when the broker has confirmed: from then on what was delivered and not acknowledged is back in the
// queue, uncounted. From the call on such messages are refused by Ack.
func (s *Subscription) Unsubscribe(ctx context.Context) error {
	r, err := s.leave(ctx)
	if err == nil {
		err = r.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("unsubscribing: %w", err)
	}
	return nil
}

// leave queues the UNSUBSCRIBE, once.
func (s *Subscription) leave(ctx context.Context) (*Receipt, error) {
	c := s.conn
	c.mu.Lock()
	left := s.left
	c.mu.Unlock()
	if left != nil {
		return left, nil
	}
	r, err := c.request(ctx, nil, func(b []byte, r *Receipt) ([]byte, error) {
		if s.left != nil {
			left = s.left
			return b, errLeft
		}
		s.left, r.sub = r, s
		b = append(b, "UNSUBSCRIBE\n"...)
		return c.version.header(b, frame.Id, s.id), nil
	})
	if left != nil {
		return left, nil
	}
	if err == nil {
		s.inbox.close()
	}
	return r, err
}
