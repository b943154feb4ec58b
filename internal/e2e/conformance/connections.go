package conformance

import (
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
)

func connections() []row {
	return []row{
		both("WrongPasscode", "ERROR, which does not show it, and the connection closes", wrongPasscode),
		both("Host", "the `host` header is not looked at", host),
		both("Versions", "the highest that both know", versions),
		{
			name: "ClientIDTwice", artemis: "two connections may have one client-id", classic: "the second one is refused",
			ask: clientIDTwice,
		},
		{
			name: "HeartBeats", artemis: "beats come when they were asked for", classic: "the first may come after twice the interval",
			ask: heartBeats,
		},
		both("SilentClient", "who promised beats and falls silent is cut off; his message goes to another", silentClient),
		both("BeatingClient", "who promised beats and sends nothing else stays", beatingClient),
		{
			name: "IdleWithoutBeats", artemis: "heart-beat 0,0: closed after 60 s of silence", classic: "heart-beat 0,0: stays open", long: true,
			ask: idleWithoutBeats,
		},
		both("Disconnect", "RECEIPT, then the connection closes", disconnect),
		both("UnknownCommand", "ERROR, and the connection closes", unknownCommand),
	}
}

func wrongPasscode(p *probe) {
	if p.Login == "" {
		p.Skip("the broker lets everybody in")
	}
	c := p.dial()
	c.connect(frame.Passcode, "wr0ng")
	if c.hello.Command != frame.ERROR {
		p.Fatalf("got %s", said(c.hello))
	}
	if text := c.hello.Header.Get(frame.Message) + string(c.hello.Body); strings.Contains(text, "wr0ng") {
		p.Errorf("the passcode is in %q", text)
	}
	c.closed(patience)
}

func host(p *probe) {
	p.connect(frame.Host, "nowhere.example").leave()
}

func versions(p *probe) {
	for offered, want := range map[string]string{"1.0,1.1,1.2": "1.2", "1.2,1.1": "1.2", "1.1": "1.1", "1.1,9.9": "1.1"} {
		if got := p.connect(frame.AcceptVersion, offered).version; got != want {
			p.Errorf("%s: got %s, want %s", offered, got, want)
		}
	}
	c := p.dial()
	c.connect(frame.AcceptVersion, "9.9")
	if c.hello.Command != frame.ERROR {
		p.Errorf("9.9: got %s", said(c.hello))
	}
}

func clientIDTwice(p *probe) {
	p.connect("client-id", p.name)
	c := p.dial()
	c.connect("client-id", p.name)
	if want := p.either(frame.CONNECTED, frame.ERROR); c.hello.Command != want {
		p.Errorf("got %s, want %s", said(c.hello), want)
	}
}

func heartBeats(p *probe) {
	const interval = time.Second
	started := time.Now()
	c := p.connect(frame.HeartBeat, "0,1000")
	c.beat(started.Add(interval / 2)) // before is the line end that may follow CONNECTED
	c.beat(started)
}

// beat waits for a heart-beat after a time.
func (c *peer) beat(after time.Time) {
	c.p.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	for first := true; first || time.Now().Before(after); first = false {
		if f, err := c.r.Read(); err != nil || f != nil {
			c.p.Fatalf("got %s, %v, want a heart-beat", said(f), err)
		}
	}
}

func silentClient(p *probe) {
	c := p.connect()
	c.send(p.queue(), "x")
	mute := p.connect(frame.HeartBeat, "500,0")
	mute.subscribe("1", p.queue())
	mute.message()
	c.subscribe("1", p.queue())
	if m := c.message(); m.Header.Get("redelivered") != "true" {
		p.Errorf("it does not count as a failed delivery: %s", said(m))
	} else {
		c.ack(m)
	}
	mute.closed(patience)
}

func beatingClient(p *probe) {
	c := p.connect(frame.HeartBeat, "500,0")
	for range 12 { // three times what silence may last
		<-time.After(250 * time.Millisecond) // it is silence that is asked for
		if err := c.w.Write(nil); err != nil {
			p.Fatal(err)
		}
		if err := c.w.Flush(); err != nil {
			p.Fatal(err)
		}
	}
	c.stays(true)
}

func idleWithoutBeats(p *probe) {
	c := p.connect()
	if p.Mode == Artemis {
		c.closed(80 * time.Second)
		return
	}
	if f := c.next(65 * time.Second); f != nil {
		p.Fatalf("got %s", said(f))
	}
	c.stays(true)
}

func disconnect(p *probe) {
	c := p.connect()
	c.must(frame.DISCONNECT, "")
	c.closed(patience)
}

func unknownCommand(p *probe) {
	c := p.connect()
	if _, err := c.nc.Write([]byte("PUBLISH\ndestination:/topic/x\n\n\x00")); err != nil {
		p.Fatal(err)
	}
	if f := c.next(patience); f == nil || f.Command != frame.ERROR {
		p.Errorf("got %s", said(f))
	}
	c.closed(patience)
}
