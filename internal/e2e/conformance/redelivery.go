package conformance

import (
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
)

func redelivery() []row {
	return []row{
		both("ConnectionLost", "what a lost connection held comes again, `redelivered:true`", connectionLost),
		both("Disconnected", "what a DISCONNECT leaves unacknowledged comes again", disconnected),
		{
			name: "Unsubscribed", artemis: "UNSUBSCRIBE gives back uncounted: twelve times, still `redelivered:false`, and no dead letter",
			classic: "UNSUBSCRIBE gives back, counted: `redelivered:true`", ask: unsubscribed,
		},
		{
			name: "TenDeliveries", artemis: "the tenth failed delivery makes a dead letter in DLQ, which says where it comes from (`_AMQ_ORIG_QUEUE`, `_AMQ_ORIG_ADDRESS`)",
			classic: "there is no limit: the twelfth delivery is like the second", ask: tenDeliveries,
		},
		{
			name: "OldestCounts", artemis: "of several messages held by a lost connection the oldest counts as delivered, the others mostly not", classic: "all count as delivered",
			ask: oldestCounts,
		},
		both("GivenBackInOrder", "messages that come again come before all others, in their order", givenBackInOrder),
		both("CompetingConsumers", "a message that one consumer holds comes to no other", competingConsumers),
	}
}

func redelivered(p *probe, c *peer, want bool) {
	p.Helper()
	m := c.message()
	if got := m.Header.Get("redelivered") == "true"; got != want {
		p.Errorf("%s: redelivered is %v, want %v", m.Body, got, want)
	}
}

func connectionLost(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	s := p.connect()
	s.subscribe("1", p.queue())
	redelivered(p, s, false)
	s.kill()
	c.subscribe("1", p.queue())
	m := c.message()
	if m.Header.Get("redelivered") != "true" {
		p.Errorf("got %s", said(m))
	}
	c.ack(m)
}

func disconnected(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	s := p.connect()
	s.subscribe("1", p.queue())
	s.message()
	s.leave()
	c.subscribe("1", p.queue())
	p.bodies(c, "x")
}

func unsubscribed(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x", "persistent", "true")
	for i := range 12 {
		id := strconv.Itoa(i)
		c.subscribe(id, p.queue())
		redelivered(p, c, i > 0 && p.Mode == Classic)
		c.unsubscribe(id)
	}
	c.subscribe("end", p.queue())
	p.bodies(c, "x")
}

func tenDeliveries(p *probe) {
	c := p.connect()
	c.send(slices, "x", "persistent", "true", "_AMQ_DUPL_ID", p.name)
	c.subscribe("idds", slicesIDDS, "selector", p.mine())
	p.bodies(c, "x")
	fail := func(again bool) {
		s := p.connect()
		s.subscribe("1", slicesWorkers, "selector", p.mine())
		redelivered(p, s, again)
		s.kill()
	}
	for i := range 10 {
		fail(i > 0)
	}
	if p.Mode == Classic {
		fail(true)
		c.subscribe("1", slicesWorkers, "selector", p.mine())
		p.bodies(c, "x")
		return
	}
	// A busy Artemis takes a loss for a goodbye now and then, and does not count it: then the message comes once more, to the same
	// listener that would hear of its death.
	var m *frame.Frame
	for uncounted := 0; m == nil; uncounted++ {
		s := p.connect()
		s.subscribe("dead", p.deadLetters(), "selector", p.mine()+" AND _AMQ_ORIG_QUEUE='"+slicesWorkers+"'")
		s.subscribe("1", slicesWorkers, "selector", p.mine())
		switch got := s.message(); {
		case got.Header.Get(frame.Subscription) == "dead":
			c, m = s, got
		case uncounted == 3:
			p.Fatalf("got %s, want a dead letter", said(got))
		default:
			s.kill()
		}
	}
	if got := m.Header.Get(message.HeaderOriginalAddress); got != slices {
		p.Errorf("_AMQ_ORIG_ADDRESS is %q", got)
	}
	if got := m.Header.Get("destination"); got != "DLQ" {
		p.Errorf("destination is %q", got)
	}
	c.ack(m)
	c.silent()
}

func oldestCounts(p *probe) {
	c := p.connect()
	fill(p, c, 3)
	s := p.connect()
	s.subscribe("1", p.queue(), window, "10000")
	for range 3 {
		s.message()
	}
	s.kill()
	c.subscribe("1", p.queue())
	for i := range 3 {
		m := c.message()
		// Of the others it depends on how Artemis hears of the loss.
		if (i == 0 || p.Mode == Classic) && m.Header.Get("redelivered") != "true" {
			p.Errorf("message %s: redelivered is not true", m.Body)
		}
		c.ack(m)
	}
}

func givenBackInOrder(p *probe) {
	c := p.connect()
	fill(p, c, 5)
	s := p.connect()
	s.subscribe("1", p.queue(), window, "10000")
	for range 5 {
		s.message()
	}
	s.unsubscribe("1")
	c.send(p.queue(), "5")
	c.subscribe("1", p.queue())
	p.bodies(c, "0", "1", "2", "3", "4", "5")
}

func competingConsumers(p *probe) {
	c, other := p.connect(), p.connect()
	c.subscribe("1", p.queue())
	other.subscribe("1", p.queue())
	sender := p.connect()
	fill(p, sender, 2)
	one, two := c.message(), other.message()
	if string(one.Body) == string(two.Body) {
		p.Errorf("both got %s", one.Body)
	}
	c.silent()
	other.silent()
	c.ack(one)
	other.ack(two)
}
