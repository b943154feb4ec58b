package stomp

import (
	"bytes"
	"cmp"
	"context"
	"strconv"
	"time"
)

// Receipt is the broker's answer to one frame, to be waited for.
type Receipt struct {
	done chan struct{}
	err  error
	sent time.Time
	sub  *Subscription // of an UNSUBSCRIBE
	last bool          // of the DISCONNECT
}

// Done is closed when the answer has come or the connection has ended; Wait then returns at once.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Wait returns nil when the RECEIPT has come, a [*ServerError] when the broker refused this frame, and [ErrClosed] with the
// reason when the connection ended first: then nobody knows whether the frame arrived, and errors.Is(err, ErrClosed) is to
// be asked before the reason, which may be the refusal of somebody else's frame. It gives up with the context's cause.
func (r *Receipt) Wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Receipt) settle(err error) {
	r.err = err
	close(r.done)
}

// highWater is how many bytes may wait for the writer before SENDs wait too. Other frames are small and as few as there are
// messages held.
const highWater = 1 << 20

// awaitRoom waits until the writer has caught up.
func (c *Conn) awaitRoom(ctx context.Context) error {
	for {
		c.mu.Lock()
		if len(c.out) <= highWater {
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.done:
			return nil // request says why
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// request queues a frame with a receipt header. head appends its command and headers, holding the lock: what it records
// about the session is as ordered as the frames are. An error of head leaves everything as it was.
func (c *Conn) request(
	ctx context.Context, body []byte, head func(b []byte, r *Receipt) ([]byte, error),
) (*Receipt, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := &Receipt{done: make(chan struct{}), sent: time.Now()}
	c.mu.Lock()
	switch {
	case c.err != nil:
		c.mu.Unlock()
		return nil, c.lost()
	case c.leaving:
		c.mu.Unlock()
		return nil, ErrClosed
	}
	b, err := head(c.out, r)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.nextID++
	b = append(b, "receipt:"...)
	b = strconv.AppendUint(b, c.nextID, 10)
	b = append(b, '\n', '\n')
	b = append(b, body...)
	b = append(b, 0)
	c.out = b
	c.receipts[c.nextID] = r
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return r, nil
}

// Send queues a message and returns; its receipt comes in time. headers are pairs of key and value. No content-length is
// sent, so that Artemis stores text as for its other clients, unless the body has a NUL. body is copied.
func (c *Conn) Send(ctx context.Context, destination string, body []byte, headers ...string) (*Receipt, error) {
	if err := c.awaitRoom(ctx); err != nil {
		return nil, err
	}
	return c.request(ctx, body, func(b []byte, _ *Receipt) ([]byte, error) {
		b = append(b, "SEND\n"...)
		b = c.version.header(b, "destination", destination)
		b, err := c.version.headers(b, headers)
		if bytes.IndexByte(body, 0) >= 0 {
			b = append(b, "content-length:"...)
			b = strconv.AppendInt(b, int64(len(body)), 10)
			b = append(b, '\n')
		}
		return b, err
	})
}

// Ack acknowledges messages, in their order, and returns; one receipt comes in time for all of them: a broker does what it is told in
// order, and a refusal of any ends the connection. A message is acknowledged once, on the connection that delivered it, while its
// subscription lives: otherwise the error is ErrNotHeld, and nothing is sent about it; without a receipt nothing at all. About a
// Message that the caller has put together nothing is known, and the broker is asked.
func (c *Conn) Ack(ctx context.Context, messages ...*Message) (*Receipt, error) {
	var refused error
	r, err := c.request(ctx, nil, func(b []byte, _ *Receipt) ([]byte, error) {
		sent := 0
		for _, m := range messages {
			if s := m.sub; m.settled || s != nil && (s.conn != c || s.left != nil || s.auto) {
				refused = ErrNotHeld
				continue
			}
			if sent++; sent > 1 {
				b = append(b, '\n', 0) // of the one before, which needs no receipt
			}
			m.settled = true
			b = c.version.ack(b, m)
		}
		if sent == 0 {
			return b, ErrNotHeld
		}
		return b, nil
	})
	return r, cmp.Or(err, refused)
}

func (v version) ack(b []byte, m *Message) []byte {
	b = append(b, "ACK\n"...)
	if v == v12 {
		return v.header(b, "id", m.AckID)
	}
	b = v.header(b, "message-id", m.ID)
	return v.header(b, "subscription", m.Subscription)
}
