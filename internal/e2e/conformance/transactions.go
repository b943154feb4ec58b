package conformance

import "github.com/go-stomp/stomp/v3/frame"

func transactions() []row {
	return []row{
		both("SendCommit", "what is sent in a transaction comes at its COMMIT, in order", sendCommit),
		both("SendAbort", "what is sent in a transaction that is aborted never comes", sendAbort),
		both("SendLost", "what is sent in a transaction whose connection is lost never comes", sendLost),
		{
			name: "AckAbort", artemis: "an ACK in a transaction counts at once: ABORT does not undo it", classic: "ABORT undoes an ACK: the message comes again",
			ask: ackAbort,
		},
		both("AckCommit", "after COMMIT the message does not come again", ackCommit),
		{name: "BeginTwice", artemis: "ERROR, and the connection closes", classic: "ERROR, and the connection stays", ask: beginTwice},
		{
			name: "UnknownTransaction", artemis: "COMMIT or ABORT of none: ERROR, and the connection closes",
			classic: "COMMIT or ABORT of none: ERROR, and the connection stays", ask: unknownTransaction,
		},
		{
			name: "SendInNone", artemis: "a SEND in a transaction that was not begun has a RECEIPT and is lost",
			classic: "a SEND in a transaction that was not begun: ERROR, and the connection stays", ask: sendInNone,
		},
	}
}

func sendCommit(p *probe) {
	c := p.connect()
	s := p.connect()
	s.subscribe("1", p.queue(), frame.Ack, frame.AckAuto)
	c.must(frame.BEGIN, "", frame.Transaction, "t")
	c.send(p.queue(), "one", frame.Transaction, "t")
	c.send(p.queue(), "two", frame.Transaction, "t")
	s.silent()
	c.must(frame.COMMIT, "", frame.Transaction, "t")
	for _, want := range []string{"one", "two"} {
		if got := string(s.message().Body); got != want {
			p.Fatalf("got %s, want %s", got, want)
		}
	}
}

func sendAbort(p *probe) {
	c := p.connect()
	c.must(frame.BEGIN, "", frame.Transaction, "t")
	c.send(p.queue(), "never", frame.Transaction, "t")
	c.must(frame.ABORT, "", frame.Transaction, "t")
	c.send(p.queue(), "end")
	c.subscribe("1", p.queue())
	p.bodies(c, "end")
}

func sendLost(p *probe) {
	c := p.connect()
	c.must(frame.BEGIN, "", frame.Transaction, "t")
	c.send(p.queue(), "never", frame.Transaction, "t")
	c.kill()
	c = p.connect()
	c.send(p.queue(), "end")
	c.subscribe("1", p.queue())
	p.bodies(c, "end")
	c.silent()
}

func ackAbort(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	s := p.connect()
	s.subscribe("1", p.queue())
	m := s.message()
	s.must(frame.BEGIN, "", frame.Transaction, "t")
	s.ack(m, frame.Transaction, "t")
	s.must(frame.ABORT, "", frame.Transaction, "t")
	s.kill()
	c.send(p.queue(), "end")
	c.subscribe("1", p.queue())
	if p.Mode == Artemis {
		p.bodies(c, "end")
		c.silent()
		return
	}
	for range 2 { // what is returned may meet what is new
		c.ack(c.message())
	}
}

func ackCommit(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	s := p.connect()
	s.subscribe("1", p.queue())
	m := s.message()
	s.must(frame.BEGIN, "", frame.Transaction, "t")
	s.ack(m, frame.Transaction, "t")
	s.send(p.queue(), "result", frame.Transaction, "t")
	s.must(frame.COMMIT, "", frame.Transaction, "t")
	p.bodies(s, "result")
	s.leave()
	c.subscribe("1", p.queue())
	c.silent()
}

func beginTwice(p *probe) {
	c := p.connect()
	c.must(frame.BEGIN, "", frame.Transaction, "t")
	c.refused(p.Mode == Classic, frame.BEGIN, "", frame.Transaction, "t")
}

func unknownTransaction(p *probe) {
	for _, command := range []string{frame.COMMIT, frame.ABORT} {
		p.connect().refused(p.Mode == Classic, command, "", frame.Transaction, "none")
	}
}

func sendInNone(p *probe) {
	c := p.connect()
	if p.Mode == Classic {
		c.refused(true, frame.SEND, "x", frame.Destination, p.topic(), frame.Transaction, "none")
		return
	}
	c.send(p.queue(), "x", frame.Transaction, "none")
	c.send(p.queue(), "end")
	c.subscribe("1", p.queue())
	p.bodies(c, "end")
	c.silent()
}
