package stompd

import (
	"math"
	"slices"
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/selector"
)

// unlimited is the window of who takes everything.
const unlimited = math.MaxInt

func (c *conn) subscribe(f *frame.Frame) error {
	destination, id := f.Header.Get(frame.Destination), f.Header.Get(frame.Id)
	if destination == "" || id == "" {
		return refuse("SUBSCRIBE needs destination and id")
	}
	sel, err := selector.Parse(f.Header.Get("selector"), c.b.how.numbers)
	if err != nil {
		return refuse("selector: %v", err)
	}
	s := &subscription{id: id, conn: c, selector: sel, window: 10240}
	switch mode := f.Header.Get(frame.Ack); mode {
	case "", frame.AckAuto:
		s.auto, s.window = true, unlimited
	case frame.AckClient:
		s.cumulative = true
	case frame.AckClientIndividual:
	default:
		return refuse("ack mode %q is not supported", mode)
	}
	windows := []string{"activemq.prefetchSize", "consumer-window-size"}
	if c.b.how.windowOfMessages {
		windows = windows[:1] // the other is Artemis'
	}
	for _, key := range windows {
		if text, ok := f.Header.Contains(key); ok {
			if s.window, err = strconv.Atoi(text); err != nil {
				return refuse("%s %q is no number", key, text)
			}
			if s.window < 0 {
				s.window = unlimited
			}
		}
	}
	b := c.b
	b.mu.Lock()
	defer c.unlock()
	if len(c.named(id)) > 0 && !b.how.sharedIDs {
		return refuse("subscription id %s is in use", id)
	}
	q, err := b.source(c, f, sel)
	if err != nil {
		return err
	}
	c.subs = append(c.subs, s)
	q.add(s)
	return nil
}

// source is the queue that a SUBSCRIBE takes its messages from.
func (b *Broker) source(c *conn, f *frame.Frame, sel *selector.Selector) (*queue, error) {
	address := f.Header.Get(frame.Destination)
	if q := b.queues[address]; q != nil && (b.how.namedQueues || !slices.Contains(b.cfg.Hidden, address)) {
		return q, nil
	}
	if b.wantsQueue(address, f.Header.Get("subscription-type")) {
		return b.shared(address), nil
	}
	return b.topicQueue(c.client, durableName(f), address, sel)
}

// shared makes a queue because a client wants one: it goes when it is empty and nobody listens.
func (b *Broker) shared(address string) *queue {
	b.bind(address, address)
	q := b.queues[address]
	q.passing = true
	return q
}

func durableName(f *frame.Frame) string {
	if name := f.Header.Get("durable-subscription-name"); name != "" {
		return name
	}
	return f.Header.Get("activemq.subscriptionName")
}

// topicQueue is the queue of a subscription to a topic: its own, which ends with it, or, for a durable one, the queue
// CLIENT-ID.NAME, which stays and gathers what its first subscription selected.
func (b *Broker) topicQueue(client, name, address string, sel *selector.Selector) (*queue, error) {
	full := ""
	if name != "" {
		if client == "" {
			return nil, refuse("durable-subscription-name %q without client-id", name)
		}
		full = client + "." + name
		if q := b.queues[full]; q != nil {
			if q.address != address {
				return nil, refuse("durable subscription %s is of %s", full, q.address)
			}
			return q, nil
		}
	}
	if full == "" {
		q := b.newQueue("", address)
		b.bound[address] = append(b.bound[address], q)
		return q, nil
	}
	q := b.durable(full, address, sel)
	q.kept = b.disk.Subscribed(q.name, q.address, q.filter.String())
	return q, nil
}

// durable makes the queue of a durable subscription.
func (b *Broker) durable(name, address string, sel *selector.Selector) *queue {
	b.bind(address, name)
	q := b.queues[name]
	q.filter = sel
	return q
}

// unsubscribe ends a subscription; with its name a durable one for good.
func (c *conn) unsubscribe(f *frame.Frame) error {
	b, id := c.b, f.Header.Get(frame.Id)
	b.mu.Lock()
	defer c.unlock()
	subs, durable := c.named(id), b.queues[c.client+"."+durableName(f)]
	if len(subs) == 0 && durable == nil {
		return refuse("no subscription %q", id)
	}
	for _, s := range subs {
		c.subs = slices.DeleteFunc(c.subs, func(o *subscription) bool { return o == s })
		c.givenBack = c.givenBack[:0]
		for _, m := range s.unacked {
			c.givenBack = append(c.givenBack, s.messageID(m))
		}
		b.giveBack(false, s)
	}
	if durable != nil && len(durable.subs) == 0 {
		b.forget(durable)
	}
	return nil
}

// forget ends a durable subscription with what it holds.
func (b *Broker) forget(q *queue) {
	for e := q.pending.Front(); e != nil; e = e.Next() {
		if m, ok := e.Value.(*msgstore.Message); ok {
			b.disk.Gone(m)
		}
	}
	b.disk.Unsubscribed(q.kept)
	b.unbind(q)
}

// release removes a queue that nobody listens to, if it does not outlive its subscriptions.
func (b *Broker) release(q *queue) {
	if len(q.subs) == 0 && (q.name == "" || q.passing && q.pending.Len() == 0) {
		b.unbind(q)
	}
}

// unbind removes a queue from its address.
func (b *Broker) unbind(q *queue) {
	if q.name != "" {
		delete(b.queues, q.name)
	}
	b.bound[q.address] = slices.DeleteFunc(b.bound[q.address], func(o *queue) bool { return o == q })
	if len(b.bound[q.address]) == 0 {
		delete(b.bound, q.address)
	}
}

// named are the subscriptions with an id.
func (c *conn) named(id string) []*subscription {
	var out []*subscription
	for _, s := range c.subs {
		if s.id == id {
			out = append(out, s)
		}
	}
	return out
}

// acknowledge takes an ACK, or a NACK: in Artemis that discards, the message is not delivered again.
func (c *conn) acknowledge(f *frame.Frame) error {
	if s, i := c.holds(f); s != nil {
		s.settle(i, f.Command == frame.NACK)
		return nil
	}
	id := c.settles(f)
	if c.b.how.lateACK && slices.Contains(c.givenBack, id) {
		return nil
	}
	return refuse("AMQ339018: no message %q to acknowledge", id)
}

// settles is the id of the message that an ACK is for.
func (c *conn) settles(f *frame.Frame) string {
	if c.version == "1.1" {
		return f.Header.Get(frame.MessageId)
	}
	return f.Header.Get(frame.Id)
}

// holds finds the subscription that holds the message of an ACK, and its place there; nil when none does.
func (c *conn) holds(f *frame.Frame) (s *subscription, place int) {
	id := c.settles(f)
	for _, s := range c.subs {
		if i := s.find(id); i >= 0 {
			return s, i
		}
	}
	return nil, 0
}
