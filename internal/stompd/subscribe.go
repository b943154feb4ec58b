package stompd

import (
	"slices"
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/msgqueue"
)

// subscription is one of a client.
type subscription struct {
	*msgqueue.Subscription
	id   string
	conn *conn
	// ackHeader: messages have one of ours, which ACK takes.
	ackHeader bool
}

func (c *conn) subscribe(f *frame.Frame) error {
	destination, id := f.Header.Get(frame.Destination), f.Header.Get(frame.Id)
	if destination == "" || id == "" {
		return refuse("SUBSCRIBE needs destination and id")
	}
	wish := msgqueue.Wish{
		Address: destination, Kind: f.Header.Get("subscription-type"), Durable: durableName(f), Selector: f.Header.Get("selector"),
		Window: 10240,
	}
	switch mode := f.Header.Get(frame.Ack); mode {
	case "", frame.AckAuto:
		wish.Auto, wish.Window = true, msgqueue.Unlimited
	case frame.AckClient:
		wish.Cumulative = true
	case frame.AckClientIndividual:
	default:
		return refuse("ack mode %q is not supported", mode)
	}
	windows := []string{"activemq.prefetchSize", "consumer-window-size"}
	if c.b.how.prefetchOnly {
		windows = windows[:1]
	}
	for _, key := range windows {
		if text, ok := f.Header.Contains(key); ok {
			var err error
			if wish.Window, err = strconv.Atoi(text); err != nil {
				return refuse("%s %q is no number", key, text)
			}
			if wish.Window < 0 {
				wish.Window = msgqueue.Unlimited
			}
		}
	}
	b := c.b
	b.mu.Lock()
	defer c.unlock()
	if len(c.named(id)) > 0 && !b.how.sharedIDs {
		return refuse("subscription id %s is in use", id)
	}
	wish.Client = c.client
	s := &subscription{id: id, conn: c, ackHeader: c.version == "1.2" && !wish.Auto}
	var err error
	if s.Subscription, err = b.addresses.Subscribe(wish, s); err != nil {
		return err
	}
	c.subs = append(c.subs, s)
	return nil
}

func durableName(f *frame.Frame) string {
	if name := f.Header.Get("durable-subscription-name"); name != "" {
		return name
	}
	return f.Header.Get("activemq.subscriptionName")
}

// unsubscribe ends a subscription; with its name a durable one for good.
func (c *conn) unsubscribe(f *frame.Frame) error {
	b, id := c.b, f.Header.Get(frame.Id)
	b.mu.Lock()
	defer c.unlock()
	subs := c.named(id)
	for _, s := range subs {
		c.subs = slices.DeleteFunc(c.subs, func(o *subscription) bool { return o == s })
		c.givenBack = c.givenBack[:0]
		for _, m := range s.Held() {
			c.givenBack = append(c.givenBack, s.messageID(m))
		}
		b.giveBack(false, []*subscription{s})
	}
	if !b.addresses.Forget(c.client, durableName(f)) && len(subs) == 0 {
		return refuse("no subscription %q", id)
	}
	return nil
}

// giveBack ends subscriptions; lost, with their connection.
func (b *Broker) giveBack(lost bool, subs []*subscription) {
	ended := make([]*msgqueue.Subscription, len(subs))
	for i, s := range subs {
		ended[i] = s.Subscription
	}
	b.addresses.GiveBack(lost, ended...)
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
		s.Settle(i, f.Command == frame.NACK)
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
