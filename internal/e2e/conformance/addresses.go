package conformance

import "tfpilot/internal/message"

const (
	slices        = message.TopicSlices
	slicesWorkers = message.QueueSlicesWorkers
	slicesIDDS    = message.QueueSlicesIDDS
)

func addresses() []row {
	return []row{
		both("FanOut", "what is sent to a topic is in every queue bound to it", fanOut),
		{
			name: "FanOutDestination", artemis: "the destination of a message is where it was sent, `/topic/...`",
			classic: "the destination of a message is the queue that it comes from", ask: fanOutDestination,
		},
		{
			name: "QueueOfAFanOut", artemis: "a SEND to `/queue/...` of a fan-out has a RECEIPT and is lost: no queue is bound to that address",
			classic: "a SEND to a queue of a fan-out is in that queue", ask: queueOfAFanOut,
		},
		{
			name: "UnknownQueue", artemis: "a SEND to a `/queue/...` that nobody declared has a RECEIPT and is lost: such an address is a topic",
			classic: "a SEND to a `/queue/...` that nobody declared makes the queue", ask: unknownQueue,
		},
		{
			name: "QueueWithoutAddress", artemis: "a SUBSCRIBE to a queue of a fan-out that has no address of its own name is accepted, and nothing ever comes",
			classic: "no queue needs an address", ask: queueWithoutAddress,
		},
		both("TopicWithoutSubscriber", "a SEND to a topic that nobody hears has a RECEIPT and is lost", topicWithoutSubscriber),
		both("TopicToAll", "every subscription to a topic gets every message", topicToAll),
		both("DurableSubscription", "with client-id and durable subscription name a topic misses nothing while its subscriber is away", durableSubscription),
		both("OtherDurableNames", "`subscription-name` and `durable`, which production agents send, mean nothing: what comes while the subscriber is away is lost", otherDurableNames),
	}
}

func fanOut(p *probe) {
	c := p.connect()
	c.send(slices, "x", "persistent", "true")
	for _, queue := range []string{slicesWorkers, slicesIDDS} {
		c.subscribe(queue, queue, "selector", p.mine())
		p.bodies(c, "x")
		c.unsubscribe(queue)
	}
}

func fanOutDestination(p *probe) {
	c := p.connect()
	c.send(slices, "x")
	for _, queue := range []string{slicesWorkers, slicesIDDS} {
		c.subscribe(queue, queue, "selector", p.mine())
		m := c.message()
		if got, want := m.Header.Get("destination"), p.either(slices, queue); got != want {
			p.Errorf("got %s, want %s", got, want)
		}
		c.ack(m)
		c.unsubscribe(queue)
	}
}

func queueOfAFanOut(p *probe) {
	c := p.connect()
	c.send(slicesIDDS, "literal")
	c.send(slices, "end")
	c.subscribe("1", slicesIDDS, "selector", p.mine())
	if p.Mode == Artemis {
		p.bodies(c, "end")
	} else {
		p.bodies(c, "literal", "end")
	}
	c.unsubscribe("1")
	c.subscribe("2", slicesWorkers, "selector", p.mine())
	p.bodies(c, "end")
}

func unknownQueue(p *probe) {
	c := p.connect()
	queue := "/queue/undeclared." + p.name // not one of those that the suite declares
	c.send(queue, "before")
	c.subscribe("1", queue)
	c.send(queue, "after")
	if p.Mode == Artemis {
		p.bodies(c, "after")
	} else {
		p.bodies(c, "before", "after")
	}
}

// The fan-out that is set up badly, for this one row.
const (
	HiddenTopic = "/topic/conformance.hidden"
	HiddenQueue = "/queue/conformance.hidden"
)

func queueWithoutAddress(p *probe) {
	c := p.connect()
	c.send(HiddenTopic, "x")
	c.must("SUBSCRIBE", "", "id", "1", "destination", HiddenQueue, "ack", "client-individual", "selector", p.mine())
	c.send(HiddenTopic, "y")
	if p.Mode == Classic {
		p.bodies(c, "x", "y")
	}
	c.silent()
}

func topicWithoutSubscriber(p *probe) {
	c := p.connect()
	c.send(p.topic(), "before")
	c.subscribe("1", p.topic())
	c.send(p.topic(), "after")
	p.bodies(c, "after")
	c.unsubscribe("1")
	c.send(p.topic(), "away")
	c.subscribe("1", p.topic())
	c.send(p.topic(), "back")
	p.bodies(c, "back")
}

func topicToAll(p *probe) {
	c, other := p.connect(), p.connect()
	for _, s := range []*peer{c, other} {
		s.subscribe("1", p.topic())
	}
	c.send(p.topic(), "x")
	c.send(p.topic(), "y")
	for _, s := range []*peer{c, other} {
		p.bodies(s, "x", "y")
	}
}

func otherDurableNames(p *probe) {
	c := p.connect()
	subscribed := func() *peer {
		s := p.connect("client-id", p.name)
		s.subscribe("1", p.topic(), "subscription-name", "runs", "durable", "true")
		return s
	}
	subscribed().leave()
	c.send(p.topic(), "away", "persistent", "true")
	s := subscribed()
	c.send(p.topic(), "back", "persistent", "true")
	p.bodies(s, "back")
}

func durableSubscription(p *probe) {
	c := p.connect()
	subscribed := func() *peer {
		s := p.connect("client-id", p.name)
		// Either name is known to one broker and junk to the other.
		s.subscribe("runs", p.topic(), "durable-subscription-name", "runs", "activemq.subscriptionName", "runs", "selector", "color='red'")
		return s
	}
	subscribed().leave()
	for _, body := range []string{"first", "second"} {
		c.send(p.topic(), body, "color", "red", "persistent", "true")
		c.send(p.topic(), "not "+body, "color", "blue", "persistent", "true")
	}
	s := subscribed()
	p.bodies(s, "first", "second")
	s.unsubscribeDurable("runs")
}

// unsubscribeDurable ends a durable subscription for good: Artemis goes by the name in the frame, Classic by the client's.
func (c *peer) unsubscribeDurable(id string) {
	c.p.Helper()
	c.unsubscribe(id)
	c.must("UNSUBSCRIBE", "", "id", id, "durable-subscription-name", id, "activemq.subscriptionName", id)
}
