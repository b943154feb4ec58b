package conformance

import (
	"strconv"
	"strings"

	"tfpilot/internal/message"
)

func redelivery() []row {
	return []row{
		{
			name: "ConnectionLost", artemis: "what a lost connection held comes again, `redelivered:true`; a busy one strands a message now and then: nobody gets it",
			classic: "what a lost connection held comes again, `redelivered:true`", ask: connectionLost,
		},
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
	for stranded := 0; ; stranded++ {
		c.send(p.queue(), "x")
		s := p.connect()
		s.subscribe("1", p.queue())
		redelivered(p, s, false)
		s.kill()
		id := strconv.Itoa(stranded)
		c.subscribe(id, p.queue())
		m := c.arrived(patience)
		if m == nil && p.Mode == Artemis && stranded < 3 {
			p.Logf("a message was stranded")
			c.unsubscribe(id)
			continue
		}
		if m == nil || m.Header.Get("redelivered") != "true" {
			p.Fatalf("got %s", said(m))
		}
		c.ack(m)
		return
	}
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
	// By a farewell, which counts like a loss: of that a busy Artemis makes a mess now and then, see ConnectionLost.
	fail := func(again bool) {
		s := p.connect()
		s.subscribe("1", slicesWorkers, "selector", p.mine())
		redelivered(p, s, again)
		s.leave()
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
	c.subscribe("1", p.deadLetters(), "selector", p.mine()+" AND _AMQ_ORIG_QUEUE='"+slicesWorkers+"'")
	m := c.message()
	if got := m.Header.Get(message.HeaderOriginalAddress); got != slices {
		p.Errorf("_AMQ_ORIG_ADDRESS is %q", got)
	}
	if got := m.Header.Get("destination"); got != "DLQ" {
		p.Errorf("destination is %q", got)
	}
	c.ack(m)
	c.subscribe("2", slicesWorkers, "selector", p.mine())
	c.silent()
}

func oldestCounts(p *probe) {
	c := p.connect()
	for stranded := 0; ; stranded++ {
		fill(p, c, 3)
		s := p.connect()
		s.subscribe("1", p.queue(), window, "10000")
		for range 3 {
			s.message()
		}
		s.kill()
		id := strconv.Itoa(stranded)
		c.subscribe(id, p.queue())
		again, came := "", 0 // the bodies of those that count as delivered, and how many came
		for ; came < 3; came++ {
			m := c.arrived(patience)
			if m == nil {
				break
			}
			if m.Header.Get("redelivered") == "true" {
				again += string(m.Body)
			}
			c.ack(m)
		}
		if came < 3 && p.Mode == Artemis && stranded < 3 {
			p.Logf("a message was stranded, see ConnectionLost")
			c.unsubscribe(id)
			continue
		}
		// Of the others it depends on how Artemis hears of the loss.
		if came < 3 || !strings.Contains(again, "0") || p.Mode == Classic && len(again) < 3 {
			p.Errorf("%d came, of which %q count as delivered", came, again)
		}
		return
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
