package conformance

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

func sending() []row {
	return []row{
		both("Persistent", "`persistent:true` comes back as it was sent, and false without", persistent),
		{
			name: "JunkHeaders", artemis: "every header of a SEND comes back, `receipt` and `ttl` too", classic: "own headers come back, `receipt` does not",
			ask: junkHeaders,
		},
		{
			name: "StrayAck", artemis: "an `ack` header of a SEND comes back before the broker's own: the last one acknowledges",
			classic: "an `ack` header of a SEND comes back to 1.1 only", ask: strayAck,
		},
		both("Escapes", "colon, line feed and backslash in a header survive 1.2 and 1.1, carriage return 1.2", escapes),
		both("RepeatedHeader", "of a header that is there twice the first counts", repeatedHeader),
		both("NULWithLength", "a body with NUL and content-length is whole", nulWithLength),
		both("ContentLengthOut", "a delivered body is as long as it was sent, with any character", contentLengthOut),
		both("LargeBody", "a body of 3 MB passes", largeBody),
		{
			name: "LargeHeader", artemis: "a header of 100 kB passes", classic: "a header of 100 kB ends the connection", ask: largeHeader,
		},
		{
			name: "Expires", artemis: "after `expires` (ms since 1970) a message is in ExpiryQueue, not delivered",
			classic: "after `expires` (ms since 1970) a message is in ActiveMQ.DLQ, not delivered", ask: expires,
		},
		both("TTLHeader", "`ttl` is one more header: nothing expires", ttl),
		{
			name: "DuplicateID", artemis: "a second message with the same `_AMQ_DUPL_ID` to the same address has a RECEIPT and is dropped",
			classic: "both are delivered", ask: duplicateID,
		},
		{
			name: "DuplicateIDFanOut", artemis: "on a fan-out too: one copy in each queue", classic: "two copies in each queue", ask: duplicateIDFanOut,
		},
		{
			name: "DuplicateIDRing", artemis: "an address remembers the last 20,000 (`id-cache-size`), and then forgets the oldest",
			classic: "it remembers none", ask: duplicateIDRing,
		},
		both("DuplicateIDElsewhere", "the same `_AMQ_DUPL_ID` to another address is another message", duplicateIDElsewhere),
	}
}

func persistent(p *probe) {
	c := p.connect()
	c.send(p.queue(), "kept", "persistent", "true")
	c.send(p.queue(), "not kept")
	c.subscribe("1", p.queue())
	for _, want := range []string{"true", "false"} {
		m := c.message()
		got := m.Header.Get("persistent")
		if got == "" {
			got = "false" // which is what its absence means
		}
		if got != want {
			p.Errorf("%s: persistent:%s", m.Body, got)
		}
		c.ack(m)
	}
}

func junkHeaders(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x", "run_id", "7", "msg_type", "slice", "ttl", "43200000", "vo", "eic")
	c.subscribe("1", p.queue())
	m := c.message()
	for key, want := range map[string]string{"run_id": "7", "msg_type": "slice", "ttl": "43200000", "vo": "eic", "namespace": p.name} {
		if got := m.Header.Get(key); got != want {
			p.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if _, ok := m.Header.Contains(frame.Receipt); ok != (p.Mode == Artemis) {
		p.Errorf("receipt comes back: %v", ok)
	}
	c.ack(m)
}

// strayAck: the Python workers send results with ack:auto.
func strayAck(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x", frame.Ack, "auto")
	c.send(p.queue(), "end")
	s := p.connect(frame.AcceptVersion, "1.1")
	s.subscribe("1", p.queue())
	if got := s.message().Header.Get(frame.Ack); got != "auto" {
		p.Errorf("1.1: got %q, want auto", got)
	}
	s.unsubscribe("1")
	c.subscribe("1", p.queue())
	m := c.message()
	if got, want := len(m.Header.GetAll(frame.Ack)), 1; p.Mode == Classic && got != want || p.Mode == Artemis && got != 2 {
		p.Errorf("1.2: %v", m.Header.GetAll(frame.Ack))
	}
	c.ack(m)
	p.bodies(c, "end")
}

func escapes(p *probe) {
	for _, version := range []string{"1.2", "1.1"} {
		c := p.connect(frame.AcceptVersion, version)
		text := "a:b\\c\nd"
		if version == "1.2" {
			text += "\re"
		}
		c.send(p.queue(), "x", "odd", text, "a:key", "y")
		c.subscribe("1", p.queue())
		m := c.message()
		if got := m.Header.Get("odd"); got != text {
			p.Errorf("%s: got %q, want %q", version, got, text)
		}
		if got := m.Header.Get("a:key"); got != "y" {
			p.Errorf("%s: key with a colon: got %q", version, got)
		}
		c.ack(m)
		c.leave()
	}
}

func repeatedHeader(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x", "color", "red", "color", "blue")
	c.subscribe("1", p.queue())
	m := c.message()
	if got := m.Header.Get("color"); got != "red" {
		p.Errorf("got %s", got)
	}
	c.ack(m)
}

func nulWithLength(p *probe) {
	c := p.connect()
	const body = "a\x00b"
	c.send(p.queue(), body, frame.ContentLength, strconv.Itoa(len(body)))
	c.subscribe("1", p.queue())
	p.bodies(c, body)
}

func contentLengthOut(p *probe) {
	c := p.connect()
	c.subscribe("1", p.queue())
	for _, body := range []string{"", "plain", "Zähler ✓ \U0001F52C", "{\"a\":\n1}"} {
		c.send(p.queue(), body)
		p.bodies(c, body)
		c.send(p.queue(), body, frame.ContentLength, strconv.Itoa(len(body)))
		p.bodies(c, body)
	}
}

func largeBody(p *probe) {
	c := p.connect()
	body := strings.Repeat("0123456789abcdef", 3<<16)
	c.send(p.queue(), body, "persistent", "true")
	c.subscribe("1", p.queue())
	m := c.message()
	if string(m.Body) != body {
		p.Errorf("got %d bytes, want %d", len(m.Body), len(body))
	}
	c.ack(m)
}

func largeHeader(p *probe) {
	c := p.connect()
	text := strings.Repeat("x", 100<<10)
	if p.Mode == Classic {
		_ = c.write(frame.SEND, "", frame.Destination, p.topic(), "large", text) // the broker may have enough before its end
		c.closed(patience)
		return
	}
	c.send(p.queue(), "x", "large", text)
	c.subscribe("1", p.queue())
	m := c.message()
	if got := m.Header.Get("large"); got != text {
		p.Errorf("got %d bytes, want %d", len(got), len(text))
	}
	c.ack(m)
}

// at is a time from now in the form of the expires header.
func at(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10) }

func expires(p *probe) {
	c := p.connect()
	c.send(p.queue(), "soon", "persistent", "true", "expires", at(100*time.Millisecond))
	c.send(p.queue(), "later", "persistent", "true", "expires", at(time.Hour))
	c.silent()
	<-time.After(150 * time.Millisecond) // its expiry is what is waited for
	c.subscribe("1", p.queue())
	p.bodies(c, "later")
	c.unsubscribe("1")
	c.subscribe("2", p.expired(), "selector", p.mine())
	p.bodies(c, "soon")
}

func ttl(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x", "ttl", "1")
	c.silent()
	c.subscribe("1", p.queue())
	p.bodies(c, "x")
}

func duplicateID(p *probe) {
	c := p.connect()
	for _, body := range []string{"first", "second"} {
		c.send(p.queue(), body, "_AMQ_DUPL_ID", p.name)
	}
	c.send(p.queue(), "end")
	c.subscribe("1", p.queue())
	if p.Mode == Artemis {
		p.bodies(c, "first", "end")
	} else {
		p.bodies(c, "first", "second", "end")
	}
}

func duplicateIDFanOut(p *probe) {
	c := p.connect()
	for _, body := range []string{"first", "second"} {
		c.send(slices, body, "_AMQ_DUPL_ID", p.name)
	}
	c.send(slices, "end")
	for _, queue := range []string{slicesWorkers, slicesIDDS} {
		c.subscribe(queue, queue, "selector", p.mine())
		if p.Mode == Artemis {
			p.bodies(c, "first", "end")
		} else {
			p.bodies(c, "first", "second", "end")
		}
		c.unsubscribe(queue)
	}
}

// cacheSize is the id-cache-size of the brokers that are asked.
const cacheSize = 20_000

func duplicateIDRing(p *probe) {
	c, s := p.connect(), p.connect()
	put := func(id int) {
		c.put(frame.SEND, strconv.Itoa(id), frame.Destination, p.topic(), "_AMQ_DUPL_ID", strconv.Itoa(id))
	}
	for id := range cacheSize + 1 { // nobody hears them: what counts is the address
		put(id)
	}
	c.send(p.topic(), "all of them") // has its receipt after they were taken
	s.subscribe("1", p.topic(), frame.Ack, frame.AckAuto)
	put(1) // is remembered; the first is not
	put(0)
	want := []string{"0"}
	if p.Mode == Classic {
		want = []string{"1", "0"}
	}
	for _, body := range want {
		if got := string(s.message().Body); got != body {
			p.Fatalf("got %s, want %s", got, body)
		}
	}
}

func duplicateIDElsewhere(p *probe) {
	c := p.connect()
	other := p.queue() + ".other"
	c.send(p.queue(), "here", "_AMQ_DUPL_ID", p.name)
	c.send(other, "there", "_AMQ_DUPL_ID", p.name)
	c.subscribe("1", p.queue())
	p.bodies(c, "here")
	c.subscribe("2", other)
	p.bodies(c, "there")
}
