package stompd

import (
	"strconv"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/msgstore"
)

// transactionLimit is how many bytes a client may send into a transaction, and how many transactions it may have open.
const (
	transactionLimit  = 64 << 20
	transactionsLimit = 100
)

// transaction is what waits for its COMMIT: SENDs, and in Classic ACKs. In Artemis an ACK in a transaction counts at once.
type transaction struct {
	messages []*msgstore.Message
	acks     []*frame.Frame
	bytes    int
}

// accept makes a message of a SEND.
func accept(f *frame.Frame) (*msgstore.Message, error) {
	address := f.Header.Get(frame.Destination)
	if address == "" {
		return nil, refuse("SEND without destination")
	}
	m := &msgstore.Message{Address: address, Header: f.Header, Body: f.Body, At: time.Now(), Persistent: f.Header.Get("persistent") == "true"}
	if text, ok := f.Header.Contains("expires"); ok && text != "" && text != "0" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, refuse("expires %q is no time in milliseconds", text)
		}
		m.Expires = time.UnixMilli(ms)
	}
	return m, nil
}

// send takes a SEND, in a transaction or not. In one that was not begun it is lost, as in Artemis.
func (c *conn) send(f *frame.Frame) error {
	m, err := accept(f)
	if err != nil {
		return err
	}
	name, in := f.Header.Contains(frame.Transaction)
	if !in {
		if err := c.lockToSend(); err != nil {
			return err
		}
		defer c.unlock()
		return c.route(m)
	}
	t := c.open[name]
	if t == nil {
		if c.b.how.holdsACK {
			return refuse("no transaction %.40q", name)
		}
		return nil
	}
	if t.bytes += m.Size(); t.bytes > transactionLimit {
		return refuse("transaction %.40q has more than %d MiB", name, transactionLimit>>20)
	}
	t.messages = append(t.messages, m)
	return nil
}

// lockToSend takes the broker's lock when the log keeps pace. That is asked under the lock too: otherwise every connection that
// waited would add a message, and all of them would stand before the acknowledgements on a full disk.
func (c *conn) lockToSend() error {
	for {
		c.b.mu.Lock()
		if c.b.disk.Ready() {
			return nil
		}
		c.b.mu.Unlock()
		c.wake()
		c.b.disk.Wait(c.done)
		select {
		case <-c.done:
			return errGone
		default:
		}
	}
}

// route puts messages into their queues.
func (c *conn) route(messages ...*msgstore.Message) error {
	repeated, err := c.b.addresses.Route(messages...)
	if repeated {
		c.after = c.b.disk.All() // the first one may not be on disk yet, and has no receipt then
	}
	return err
}

// settle takes an ACK or a NACK, in a transaction or not.
func (c *conn) settle(f *frame.Frame) error {
	name, in := f.Header.Contains(frame.Transaction)
	if !in || !c.b.how.holdsACK {
		c.b.mu.Lock()
		defer c.unlock()
		return c.acknowledge(f)
	}
	t := c.open[name]
	if t == nil {
		return refuse("no transaction %.40q", name)
	}
	if t.bytes += len(f.Header.Get(frame.Id)); t.bytes > transactionLimit {
		return refuse("transaction %.40q has more than %d MiB", name, transactionLimit>>20)
	}
	t.acks = append(t.acks, f)
	return nil
}

// transact takes a BEGIN, COMMIT or ABORT. What was sent is in its queues when COMMIT returns, all or nothing.
func (c *conn) transact(f *frame.Frame) error {
	name := f.Header.Get(frame.Transaction)
	t := c.open[name]
	switch {
	case name == "":
		return refuse("%s needs a transaction", f.Command)
	case f.Command == frame.BEGIN && t != nil:
		return refuse("transaction %.40q has begun already", name)
	case f.Command == frame.BEGIN && len(c.open) >= transactionsLimit:
		return refuse("more than %d transactions", transactionsLimit)
	case f.Command == frame.BEGIN:
		c.open[name] = &transaction{}
		return nil
	case t == nil:
		return refuse("no transaction %.40q", name)
	}
	delete(c.open, name)
	if f.Command == frame.ABORT {
		return nil
	}
	if err := c.lockToSend(); err != nil {
		return err
	}
	defer c.unlock()
	for _, ack := range t.acks {
		if s, _ := c.holds(ack); s != nil {
			continue
		}
		if err := c.acknowledge(ack); err != nil {
			return err // before anything is done
		}
	}
	if err := c.route(t.messages...); err != nil {
		return err
	}
	for _, ack := range t.acks {
		_ = c.acknowledge(ack) // it was good before; a cumulative one may have settled it since
	}
	return nil
}
