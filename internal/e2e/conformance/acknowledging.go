package conformance

import "github.com/go-stomp/stomp/v3/frame"

func acknowledging() []row {
	return []row{
		both("Individual", "`client-individual`: an ACK settles one message, in any order", individual),
		both("Cumulative", "`client`: an ACK settles its message and all before it of the subscription", cumulative),
		both("OneOne", "STOMP 1.1: an ACK names message-id and subscription", oneOne),
		both("AckReceipt", "an ACK can have a RECEIPT; the next message may come before it", ackReceipt),
		{name: "Nack", artemis: "NACK throws the message away", classic: "NACK puts the message into ActiveMQ.DLQ", ask: nack},
		{
			name: "UnknownAck", artemis: "an ACK that fits nothing: ERROR, and the connection closes", classic: "an ACK that fits nothing: ERROR, and the connection stays",
			ask: unknownAck,
		},
		{name: "AckTwice", artemis: "ERROR, and the connection closes", classic: "ERROR, and the connection stays", ask: ackTwice},
		{
			name: "AckAfterUnsubscribe", artemis: "ERROR, and the connection closes", classic: "a RECEIPT, although it does nothing",
			ask: ackAfterUnsubscribe,
		},
	}
}

func individual(p *probe) {
	c := p.connect()
	fill(p, c, 3)
	s := p.connect()
	s.subscribe("1", p.queue(), window, "10000")
	held := []*frame.Frame{s.message(), s.message(), s.message()}
	s.ack(held[1])
	s.leave()
	c.subscribe("1", p.queue())
	p.bodies(c, "0", "2")
	c.silent()
}

func cumulative(p *probe) {
	c := p.connect()
	fill(p, c, 5)
	s := p.connect()
	s.subscribe("1", p.queue(), frame.Ack, "client", window, "10000")
	for i := range 5 {
		m := s.message()
		if i == 2 {
			s.ack(m)
		}
	}
	s.leave()
	c.subscribe("1", p.queue())
	p.bodies(c, "3", "4")
	c.silent()
}

func oneOne(p *probe) {
	c := p.connect(frame.AcceptVersion, "1.1")
	c.send(p.queue(), "x")
	c.subscribe("1", p.queue())
	p.bodies(c, "x")
	c.send(p.queue(), "end")
	p.bodies(c, "end")
	c.silent()
}

func ackReceipt(p *probe) {
	c := p.connect()
	fill(p, c, 20)
	c.subscribe("1", p.queue())
	for range 20 {
		c.ack(c.message()) // keeps what comes before the receipt
	}
	c.silent()
}

func nack(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x", "persistent", "true")
	c.send(p.queue(), "end", "persistent", "true")
	c.subscribe("1", p.queue())
	m := c.message()
	c.must(frame.NACK, "", c.settles(m)...)
	p.bodies(c, "end")
	c.unsubscribe("1")
	c.subscribe("2", p.deadLetters(), "selector", p.mine())
	if p.Mode == Classic {
		p.bodies(c, "x")
	}
	c.silent()
}

func unknownAck(p *probe) {
	c := p.connect()
	c.refused(p.Mode == Classic, frame.ACK, "", frame.Id, "nothing,1")
}

func ackTwice(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	c.subscribe("1", p.queue())
	m := c.message()
	c.ack(m)
	c.refused(p.Mode == Classic, frame.ACK, "", c.settles(m)...)
}

func ackAfterUnsubscribe(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	c.subscribe("1", p.queue())
	m := c.message()
	c.unsubscribe("1")
	if p.Mode == Classic {
		c.ack(m)
	} else {
		c.refused(false, frame.ACK, "", c.settles(m)...)
	}
	s := p.connect()
	s.subscribe("1", p.queue())
	p.bodies(s, "x")
}
