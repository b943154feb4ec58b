package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"tfpilot/internal/message"
)

// moment is something on the line between a pilot and its broker that can be told from the frames alone.
type moment string

// The moments of a slice, in their order.
const (
	delivered moment = "the slice is delivered"
	sending   moment = "the result is on its way to the broker"
	sent      moment = "the broker's receipt for the result is on its way"
	acking    moment = "the acknowledgement is on its way to the broker"
	acked     moment = "the broker's receipt for the acknowledgement is on its way"
	settled   moment = "the broker's receipt for the acknowledgement has arrived"
)

// tap is the line between a pilot and its broker. It sees every frame, and can stop at one: nothing passes then in either
// direction until the line is cut.
type tap struct {
	addr, target string

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced when anything below changes
	conns      []net.Conn
	stopAt     moment
	stopped    bool
	subscribed int            // subscriptions to slices that the broker has confirmed
	deliveries []delivery     // of slices
	acked      map[string]int // by identity: acknowledgements that the broker has confirmed
	generation int            // of the conns: those of an earlier one are cut
}

// delivery is one MESSAGE with a slice; again says that a delivery before it has counted.
type delivery struct {
	identity string
	again    bool
}

func newTap(tb testing.TB, target string) *tap {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(tb, err)
	p := &tap{addr: ln.Addr().String(), target: target, changed: make(chan struct{}), acked: map[string]int{}}
	background(tb, func(ctx context.Context) error {
		var lines sync.WaitGroup
		defer lines.Wait()
		defer context.AfterFunc(ctx, func() { _ = ln.Close(); p.cut() })()
		for {
			client, err := ln.Accept()
			if err != nil {
				return nil
			}
			lines.Go(func() { p.connect(ctx, client) })
		}
	})
	return p
}

func (p *tap) connect(ctx context.Context, client net.Conn) {
	broker, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	l := &tappedLine{tap: p, generation: p.generation, receipts: map[string]meaning{}, slices: map[string]string{}}
	p.conns = append(p.conns, client, broker)
	p.mu.Unlock()
	if ctx.Err() != nil {
		p.cut() // the test is over, and has cut the others already
	}
	var both sync.WaitGroup
	for _, way := range []struct {
		from, to net.Conn
		frame    func(tapFrame) meaning
	}{{client, broker, l.up}, {broker, client, l.down}} {
		both.Go(func() {
			defer func() { _ = client.Close(); _ = broker.Close() }()
			l.carry(way.from, way.to, way.frame)
		})
	}
	both.Wait()
}

// cut ends the line, and with it what was stopped; the next connection passes.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range p.conns {
		_ = nc.Close()
	}
	p.conns, p.stopAt, p.stopped, p.generation = nil, "", false, p.generation+1
	p.announce()
}

// arm has the line stop when the moment comes.
func (p *tap) arm(m moment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopAt = m
}

// until waits for something to be so.
func (p *tap) until(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	if !p.before(soon(tb), so) {
		p.mu.Lock()
		defer p.mu.Unlock()
		tb.Fatalf("waited too long until %s; deliveries %v, acknowledged %v", what, p.deliveries, p.acked)
	}
}

// before reports whether something is so before the context ends.
func (p *tap) before(ctx context.Context, so func() bool) bool {
	for {
		p.mu.Lock()
		ok, changed := so(), p.changed
		p.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// announce tells who waits. The caller holds p.mu.
func (p *tap) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// tappedLine is one connection of a pilot.
type tappedLine struct {
	*tap

	generation int
	// What the frames so far mean, guarded by tap.mu.
	receipts map[string]meaning // of the broker's answer, by receipt id
	slices   map[string]string  // by ack id: the identity of the slice
}

// meaning is what becomes so before and after a frame is passed on.
type meaning struct{ before, after func() }

// tapFrame is a STOMP frame as it came; none of ours holds a NUL.
type tapFrame struct {
	raw     []byte
	command string
	header  map[string]string
	body    []byte
}

// carry passes frames on until the line ends.
func (l *tappedLine) carry(from io.Reader, to io.Writer, look func(tapFrame) meaning) {
	r := bufio.NewReader(from)
	for {
		b, err := r.ReadByte()
		if err != nil {
			return
		}
		if b == '\n' { // a heart-beat, or what ends a frame
			if _, err := to.Write([]byte{b}); err != nil {
				return
			}
			continue
		}
		raw, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		f := parse(slices.Concat([]byte{b}, raw))
		l.mu.Lock()
		means := look(f)
		l.mu.Unlock()
		if !l.at(means.before) {
			return
		}
		if _, err := to.Write(f.raw); err != nil {
			return
		}
		if !l.at(means.after) {
			return
		}
	}
}

func parse(raw []byte) tapFrame {
	head, body, _ := bytes.Cut(raw, []byte("\n\n"))
	f := tapFrame{raw: raw, header: map[string]string{}, body: bytes.TrimSuffix(body, []byte{0})}
	lines := strings.Split(string(head), "\n")
	f.command = lines[0]
	for _, line := range lines[1:] {
		key, value, _ := strings.Cut(line, ":")
		if _, twice := f.header[key]; !twice {
			f.header[key] = value
		}
	}
	return f
}

// at does what a moment means, and stays there when the line is to stop; false says that the line is cut.
func (l *tappedLine) at(moment func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if moment != nil {
		moment()
		l.announce()
	}
	for l.stopped && l.generation == l.tap.generation {
		changed := l.changed
		l.mu.Unlock()
		<-changed
		l.mu.Lock()
	}
	return l.generation == l.tap.generation
}

// reach stops the line if it is to stop here.
func (l *tappedLine) reach(m moment) {
	if l.stopAt == m && l.generation == l.tap.generation {
		l.stopped = true
	}
}

// up looks at a frame of the pilot.
func (l *tappedLine) up(f tapFrame) (m meaning) {
	receipt := f.header["receipt"]
	switch f.command {
	case "SUBSCRIBE":
		if f.header["destination"] == message.QueueSlicesWorkers {
			l.receipts[receipt] = meaning{after: func() { l.subscribed++ }}
		}
	case "SEND":
		m.before = func() { l.reach(sending) }
		l.receipts[receipt] = meaning{before: func() { l.reach(sent) }}
	case "ACK":
		if identity, ok := l.slices[f.header["id"]]; ok {
			m.before = func() { l.reach(acking) }
			l.receipts[receipt] = meaning{func() { l.acked[identity]++; l.reach(acked) }, func() { l.reach(settled) }}
		}
	}
	return m
}

// down looks at a frame of the broker.
func (l *tappedLine) down(f tapFrame) (m meaning) {
	switch f.command {
	case "MESSAGE":
		if s, err := message.Decode[message.Slice](f.body); err == nil && s.MsgType == message.TypeSlice {
			l.slices[f.header["ack"]] = s.Content.Identity()
			m.before = func() {
				l.deliveries = append(l.deliveries, delivery{s.Content.Identity(), f.header["redelivered"] == "true"})
			}
			m.after = func() { l.reach(delivered) }
		}
	case "RECEIPT":
		m = l.receipts[f.header["receipt-id"]]
		delete(l.receipts, f.header["receipt-id"])
	}
	return m
}
