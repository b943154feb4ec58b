package stomp

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// watched is a connection that knows when it last brought anything and gives up after silence. Only bytes count, not whole
// frames: a large frame on a slow link is a sign of life all the time.
type watched struct {
	net.Conn
	silence time.Duration // 0: none; set before the reader starts
	heard   atomic.Int64  // nanoseconds since start
	start   time.Time
}

func newWatched(nc net.Conn) *watched { return &watched{Conn: nc, start: time.Now()} }

func (w *watched) lastHeard() time.Time { return w.start.Add(time.Duration(w.heard.Load())) }

func (w *watched) Read(p []byte) (int, error) {
	if w.silence > 0 {
		if err := w.SetReadDeadline(time.Now().Add(w.silence)); err != nil {
			return 0, err
		}
	}
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.heard.Store(int64(time.Since(w.start)))
	}
	if w.silence > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w for %s", ErrHeartBeat, w.silence)
	}
	return n, err
}

// readFrame reads the next frame that is no heart-beat.
func readFrame(r *stompframe.Reader) (*frame.Frame, error) {
	for {
		f, err := r.Read()
		if err != nil || f != nil {
			return f, err
		}
	}
}

// read hands on every frame; it waits for nobody.
func (c *Conn) read(r *stompframe.Reader) {
	for {
		f, err := readFrame(r)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the broker closed the connection: %w", err)
			}
			c.end(err)
			return
		}
		if err := c.handle(f); err != nil {
			c.end(err)
			return
		}
	}
}

// handle returns an error when the session is over.
func (c *Conn) handle(f *frame.Frame) error {
	switch f.Command {
	case frame.MESSAGE:
		return c.deliver(f)
	case frame.RECEIPT:
		r := c.take(f.Header.Get(frame.ReceiptId))
		if r == nil {
			// Twice for the same frame, or for none of ours: nothing depends on it.
			c.log.Warn("unknown receipt", slog.String("receipt_id", f.Header.Get(frame.ReceiptId)))
			return nil
		}
		r.settle(nil)
		if r.last {
			return ErrClosed
		}
		return nil
	case frame.ERROR:
		e := serverError(f)
		if r := c.take(e.ReceiptID); r != nil {
			r.settle(e)
		}
		// Artemis closes now. Classic goes on, but without a receipt-id nobody knows which frame was refused, and with one
		// the two brokers should not differ: a new connection is the safe answer to either.
		return e
	default:
		return fmt.Errorf("the broker sent %s, which is for clients", f.Command)
	}
}

// take removes a pending request.
func (c *Conn) take(id string) *Receipt {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.receipts[n]
	delete(c.receipts, n)
	if r != nil && r.sub != nil {
		delete(c.subs, r.sub.id)
	}
	return r
}

func (c *Conn) deliver(f *frame.Frame) error {
	m := &Message{Header: f.Header, Body: f.Body}
	for i := range f.Header.Len() {
		// The first of several headers of one name counts, but for ack: Artemis puts its own behind the one that a producer sent,
		// as the Python workers do ("auto").
		switch key, value := f.Header.GetAt(i); {
		case key == frame.Destination && m.Destination == "":
			m.Destination = value
		case key == frame.MessageId && m.ID == "":
			m.ID = value
		case key == frame.Subscription && m.Subscription == "":
			m.Subscription = value
		case key == frame.Ack && c.version == v12: // in 1.1 it is the producer's in any case
			m.AckID = value
		}
	}
	if c.version == v11 {
		m.AckID = m.ID
	}
	c.mu.Lock()
	s := c.subs[m.Subscription]
	c.mu.Unlock()
	if s == nil {
		c.log.Warn("message without a subscription", slog.String("subscription", m.Subscription),
			slog.String("destination", m.Destination))
		return nil
	}
	m.sub = s
	// A message that was on its way before the broker saw the UNSUBSCRIBE finds the inbox closed: the broker takes it back.
	if !s.inbox.put(m) {
		return fmt.Errorf("%w: more than %d bytes from %s wait", ErrSlowConsumer, c.maxQueued, m.Destination)
	}
	return nil
}
