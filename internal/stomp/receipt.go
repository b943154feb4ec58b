package stomp

import (
	"bytes"
	"context"
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"
)

// Receipt is the broker's answer to one frame, to be waited for.
type Receipt struct {
	conn *Conn
	id   string
	done chan struct{}
	err  error
}

// Done is closed when the receipt, or an ERROR for it, has come. It is not closed by the end of the connection: use Wait.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Wait returns nil when the RECEIPT has come, a [*ServerError] when the broker refused, the connection's error when it ended
// first (then nobody knows whether the frame arrived), or the context's cause.
func (r *Receipt) Wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-r.conn.done:
		select {
		case <-r.done: // it came with the last bytes
			return r.err
		default:
			return r.conn.err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// request queues a frame with a receipt header.
func (c *Conn) request(ctx context.Context, f *frame.Frame) (*Receipt, error) {
	r := &Receipt{conn: c, done: make(chan struct{})}
	c.mu.Lock()
	c.nextID++
	r.id = "r" + strconv.FormatUint(c.nextID, 10)
	c.receipts[r.id] = r
	c.mu.Unlock()
	f.Header.Add(frame.Receipt, r.id)
	select {
	case c.out <- f:
		return r, nil
	case <-c.done:
		return nil, c.err
	case <-ctx.Done():
		c.forget(r.id)
		return nil, context.Cause(ctx)
	}
}

func (c *Conn) settle(id string, err error) {
	if r := c.forget(id); r != nil {
		r.err = err
		close(r.done)
	}
}

func (c *Conn) forget(id string) *Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.receipts[id]
	delete(c.receipts, id)
	return r
}

// Send queues a message and returns at once; its receipt comes in time. headers are pairs of key and value. No
// content-length is sent, so that Artemis stores text as for its other clients, unless the body has a NUL.
func (c *Conn) Send(ctx context.Context, destination string, body []byte, headers ...string) (*Receipt, error) {
	f := frame.New(frame.SEND, frame.Destination, destination)
	for i := 0; i+1 < len(headers); i += 2 {
		f.Header.Add(headers[i], headers[i+1])
	}
	if bytes.IndexByte(body, 0) >= 0 {
		f.Header.Add(frame.ContentLength, strconv.Itoa(len(body)))
	}
	f.Body = body
	return c.request(ctx, f)
}

// Ack acknowledges a message and returns at once; its receipt comes in time.
func (c *Conn) Ack(ctx context.Context, m *Message) (*Receipt, error) {
	f := frame.New(frame.ACK)
	if c.version == "1.2" {
		f.Header.Add(frame.Id, m.AckID)
	} else {
		f.Header.Add(frame.MessageId, m.ID)
		f.Header.Add(frame.Subscription, m.Subscription)
	}
	return c.request(ctx, f)
}
