package conformance

import (
	"strconv"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

func receiving() []row {
	return []row{
		both("WindowOfOne", "`activemq.prefetchSize:1`: exactly one message is held", windowOfOne),
		{
			name: "WindowOfZero", artemis: "`activemq.prefetchSize:0`: exactly one message is held", classic: "`activemq.prefetchSize:0`: nothing comes, ever",
			ask: windowOfZero,
		},
		{
			name: "WindowUnit", artemis: "`activemq.prefetchSize` counts bytes: 10 is one message", classic: "`activemq.prefetchSize` counts messages: 10 is ten",
			ask: windowUnit,
		},
		both("Automatic", "`ack:auto`: everything comes, and what was sent to a connection that died is gone", automatic),
		{
			name: "AutomaticWindow", artemis: "with a window too it stalls for good when so many bytes have come: nothing opens it again",
			classic: "a window changes nothing for it", ask: automaticWindow,
		},
		{
			name: "SubscriptionIDTwice", artemis: "ERROR, and the connection closes", classic: "both subscriptions exist", ask: subscriptionIDTwice,
		},
		{
			name: "UnsubscribeUnknown", artemis: "ERROR, and the connection closes", classic: "ERROR, and the connection stays", ask: unsubscribeUnknown,
		},
		both("InOrder", "messages come in the order in which they were sent", inOrder),
	}
}

// fill sends numbered messages.
func fill(p *probe, c *peer, n int) {
	p.Helper()
	for i := range n {
		c.send(p.queue(), strconv.Itoa(i))
	}
}

func windowOfOne(p *probe) {
	c := p.connect()
	fill(p, c, 3)
	c.subscribe("1", p.queue())
	for i := range 3 {
		m := c.message()
		c.silent()
		if got := string(m.Body); got != strconv.Itoa(i) {
			p.Fatalf("got %s, want %d", got, i)
		}
		c.ack(m)
	}
}

func windowOfZero(p *probe) {
	c := p.connect()
	fill(p, c, 2)
	c.subscribe("1", p.queue(), window, "0")
	if p.Mode == Classic {
		c.silent()
		c.unsubscribe("1")
		c.subscribe("2", p.queue())
		p.bodies(c, "0", "1")
		return
	}
	m := c.message()
	c.silent()
	c.ack(m)
	p.bodies(c, "1")
}

func windowUnit(p *probe) {
	c := p.connect()
	fill(p, c, 12)
	c.subscribe("1", p.queue(), window, "10")
	n := 1
	if p.Mode == Classic {
		n = 10
	}
	var held []*frame.Frame
	for range n {
		held = append(held, c.message())
	}
	c.silent()
	for _, m := range held {
		c.ack(m)
	}
	for i := n; i < 12; i++ {
		p.bodies(c, strconv.Itoa(i))
	}
}

func automatic(p *probe) {
	c := p.connect()
	fill(p, c, 50)
	s := p.connect()
	s.subscribe("1", p.queue(), frame.Ack, frame.AckAuto)
	for range 50 {
		s.message()
	}
	s.kill()
	c.subscribe("1", p.queue())
	var m *frame.Frame
	for deadline := time.Now().Add(patience); m == nil && time.Now().Before(deadline); {
		c.send(p.queue(), "end") // the broker may give some to the dead connection before it notices
		if m = c.arrived(p.Quiet); m != nil && string(m.Body) != "end" {
			p.Fatalf("got %q again", m.Body)
		}
	}
	if m == nil {
		p.Fatal("nothing comes after the death of a connection")
	}
}

func automaticWindow(p *probe) {
	c := p.connect()
	fill(p, c, 10)
	c.subscribe("1", p.queue(), frame.Ack, frame.AckAuto, window, "1")
	c.message()
	if p.Mode == Artemis {
		c.silent()
		c.unsubscribe("1")
		c.subscribe("2", p.queue(), frame.Ack, frame.AckAuto)
	}
	for range 9 {
		c.message()
	}
}

func subscriptionIDTwice(p *probe) {
	c := p.connect()
	c.subscribe("1", p.topic())
	again := c.subscription("1", p.topic()+".other")
	if p.Mode == Artemis {
		c.refused(false, frame.SUBSCRIBE, "", again...)
		return
	}
	c.must(frame.SUBSCRIBE, "", again...)
	c.send(p.topic()+".other", "x")
	p.bodies(c, "x")
}

func unsubscribeUnknown(p *probe) {
	p.connect().refused(p.Mode == Classic, frame.UNSUBSCRIBE, "", frame.Id, "nobody")
}

func inOrder(p *probe) {
	c := p.connect()
	const n = 200
	fill(p, c, n)
	c.subscribe("1", p.queue(), frame.Ack, frame.AckAuto)
	for i := range n {
		if got := string(c.message().Body); got != strconv.Itoa(i) {
			p.Fatalf("got %s, want %d", got, i)
		}
	}
}
