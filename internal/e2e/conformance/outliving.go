package conformance

import (
	"strconv"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"
)

// End is how a broker ends.
type End string

// The ends.
const (
	Killed  End = "Killed"  // with KILL, as by a crash
	Stopped End = "Stopped" // in good order
)

// outliving is the chapter of what a broker keeps: a row does something and returns what holds when the broker is back.
type outliving struct {
	name             string
	artemis, classic string
	do               func(*probe) (back func(*probe))
}

func keeps(name, what string, do func(*probe) func(*probe)) outliving {
	return outliving{name, what, what, do}
}

func outlivings() []outliving {
	return []outliving{
		keeps("PersistentStays", "a persistent message with a RECEIPT is there, in every queue of a fan-out; one that is not persistent is gone", persistentStays),
		keeps("OrderStays", "messages are in their order", orderStays),
		keeps("AckStays", "what was acknowledged with a RECEIPT does not come again", ackStays),
		keeps("AcksBeforeStay", "the RECEIPT of an ACK tells of those before it on its connection, which asked for none", acksBeforeStay),
		keeps("InFlightStays", "what was held comes again; after a kill as if it was new, `redelivered:false`", inFlightStays),
		keeps("CommitStays", "what was committed with a RECEIPT is there, what was not never comes", commitStays),
		keeps("DurableSubscriptionStays", "a durable subscription is there, with what it missed", durableSubscriptionStays),
		{
			"DuplicateIDStays", "an `_AMQ_DUPL_ID` is remembered, that of a message that is not persistent too", "both are delivered, as ever",
			duplicateIDStays,
		},
		{
			"FailedDeliveriesStay", "a message that failed a delivery before comes `redelivered:true`", "it is forgotten: `redelivered:false`",
			failedDeliveriesStay,
		},
	}
}

// RunOutliving asks what a broker keeps. end ends it and starts it again on the same state; nobody else may use it.
func RunOutliving(t *testing.T, b Broker, end func(*testing.T, End) (addr string)) {
	t.Helper()
	for _, how := range []End{Killed, Stopped} {
		t.Run(string(how), func(t *testing.T) {
			p := newProbe(t, b)
			backs := map[string]func(*probe){}
			for _, r := range outlivings() {
				p.name = newProbe(t, b).name
				back, name := r.do(p), p.name
				backs[r.name] = func(p *probe) {
					p.name = name
					back(p)
				}
			}
			b.Addr = end(t, how)
			for _, r := range outlivings() {
				t.Run(r.name, func(t *testing.T) {
					p := newProbe(t, b)
					p.ended = how
					backs[r.name](p)
				})
			}
		})
	}
}

func persistentStays(p *probe) func(*probe) {
	c := p.connect()
	c.send(p.queue(), "kept", "persistent", "true")
	c.send(p.queue(), "gone")
	c.send(slices, "slice", "persistent", "true")
	return func(p *probe) {
		c := p.connect()
		c.send(p.queue(), "end")
		c.subscribe("1", p.queue())
		p.bodies(c, "kept", "end")
		for _, queue := range []string{slicesWorkers, slicesIDDS} {
			c.subscribe(queue, queue, "selector", p.mine())
			p.bodies(c, "slice")
			c.unsubscribe(queue)
		}
	}
}

func orderStays(p *probe) func(*probe) {
	c := p.connect()
	s := p.connect()
	for _, body := range []string{"0", "1", "2", "3"} {
		c.send(p.queue(), body, "persistent", "true")
	}
	s.subscribe("1", p.queue(), window, p.either("10000", "2")) // two are given back
	s.message()
	s.message()
	s.unsubscribe("1")
	return func(p *probe) {
		c := p.connect()
		c.subscribe("1", p.queue())
		p.bodies(c, "0", "1", "2", "3")
	}
}

func ackStays(p *probe) func(*probe) {
	c := p.connect()
	for _, body := range []string{"one", "two"} {
		c.send(p.queue(), body, "persistent", "true")
		c.send(slices, body, "persistent", "true")
	}
	for _, queue := range []string{p.queue(), slicesWorkers} {
		s := p.connect() // for each: the second message comes to it too
		s.subscribe("1", queue, "selector", p.mine())
		p.bodies(s, "one")
		s.unsubscribe("1")
	}
	return func(p *probe) {
		for queue, want := range map[string][]string{p.queue(): {"two"}, slicesWorkers: {"two"}, slicesIDDS: {"one", "two"}} {
			c := p.connect()
			c.subscribe("1", queue, "selector", p.mine())
			p.bodies(c, want...)
			c.silent()
		}
	}
}

func acksBeforeStay(p *probe) func(*probe) {
	const many = 20
	c, s := p.connect(), p.connect()
	for i := range many {
		c.send(p.queue(), strconv.Itoa(i), "persistent", "true")
	}
	c.send(p.queue(), "left", "persistent", "true")
	s.subscribe("1", p.queue(), window, p.either("1000000", "100"))
	var held []*frame.Frame
	for range many {
		held = append(held, s.message())
	}
	for _, m := range held[:many-1] {
		s.put(frame.ACK, "", s.settles(m)...)
	}
	s.ack(held[many-1])
	return func(p *probe) {
		c := p.connect()
		c.subscribe("1", p.queue())
		p.bodies(c, "left")
		c.silent()
	}
}

func inFlightStays(p *probe) func(*probe) {
	c := p.connect()
	c.send(p.queue(), "x", "persistent", "true")
	c.subscribe("1", p.queue())
	c.message()
	return func(p *probe) {
		c := p.connect()
		c.subscribe("1", p.queue())
		if m := c.message(); p.ended == Killed && m.Header.Get("redelivered") == "true" { // at a stop Artemis counts sometimes
			p.Errorf("got %s", said(m))
		}
	}
}

func commitStays(p *probe) func(*probe) {
	c := p.connect()
	for _, name := range []string{"done", "open"} {
		c.must(frame.BEGIN, "", frame.Transaction, name)
		c.send(p.queue(), name+" 1", "persistent", "true", frame.Transaction, name)
		c.send(p.queue(), name+" 2", "persistent", "true", frame.Transaction, name)
	}
	c.must(frame.COMMIT, "", frame.Transaction, "done")
	return func(p *probe) {
		c := p.connect()
		c.subscribe("1", p.queue())
		p.bodies(c, "done 1", "done 2")
		c.silent()
	}
}

func durableSubscriptionStays(p *probe) func(*probe) {
	subscribed := func(p *probe) *peer {
		s := p.connect("client-id", p.name)
		s.subscribe("runs", p.topic(), "durable-subscription-name", "runs", "activemq.subscriptionName", "runs", "selector", "color='red'")
		return s
	}
	subscribed(p).leave()
	p.connect().send(p.topic(), "before", "color", "red", "persistent", "true")
	return func(p *probe) {
		c := p.connect()
		c.send(p.topic(), "other", "color", "blue", "persistent", "true")
		c.send(p.topic(), "after", "color", "red", "persistent", "true")
		s := subscribed(p)
		p.bodies(s, "before", "after")
		s.unsubscribeDurable("runs")
	}
}

func duplicateIDStays(p *probe) func(*probe) {
	send := func(p *probe, body string) {
		c := p.connect()
		c.send(slices, body, "_AMQ_DUPL_ID", p.name+".persistent", "persistent", "true")
		c.send(slices, body+" light", "_AMQ_DUPL_ID", p.name+".light")
	}
	// Classic keeps what is persistent and what is not apart, and in order only within each.
	send(p, "first")
	for _, queue := range []string{slicesWorkers, slicesIDDS} {
		s := p.connect()
		s.subscribe("1", queue, "selector", p.mine())
		p.anyOrder(s, "first", "first light")
	}
	return func(p *probe) {
		send(p, "second")
		p.connect().send(slices, "end")
		for _, queue := range []string{slicesWorkers, slicesIDDS} {
			s := p.connect()
			s.subscribe("1", queue, "selector", p.mine())
			if p.Mode == Classic {
				p.anyOrder(s, "second", "second light")
			}
			p.bodies(s, "end")
		}
	}
}

func failedDeliveriesStay(p *probe) func(*probe) {
	c := p.connect()
	c.send(p.queue(), "x", "persistent", "true")
	s := p.connect()
	s.subscribe("1", p.queue())
	s.message()
	s.leave()
	c.subscribe("1", p.queue()) // who has it knows that it was given back
	redelivered(p, c, true)
	return func(p *probe) {
		c := p.connect()
		c.subscribe("1", p.queue())
		redelivered(p, c, p.Mode == Artemis)
	}
}
