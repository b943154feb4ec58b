package pilot_test

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// wire is what lies between pilots and their broker.
type wire struct {
	tape   tape
	silent atomic.Bool // what pilots send is lost, and no connection ends of it
	trip   atomic.Pointer[trip]
}

// trip makes the wire silent at the next frame of a kind: before the broker has it, or after.
type trip struct {
	command string
	before  bool
	reached chan struct{}
}

// tape is what pilots and broker said, in order.
type tape struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *tape) add(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	p.text.WriteByte('\n')
}

func (p *tape) Write(b []byte) (int, error) {
	p.add(b)
	return len(b), nil
}

func (p *tape) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// taped is a connection whose both directions are recorded.
type taped struct {
	net.Conn
	wire *wire
}

func (c taped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.tape.add(b[:n])
	return n, err
}

func (c taped) Write(b []byte) (int, error) {
	c.wire.tape.add(b) // before the broker can answer it
	if c.wire.silent.Load() {
		return len(b), nil
	}
	t := c.wire.trip.Load()
	if t == nil || !bytes.Contains(b, []byte(t.command+"\n")) || !c.wire.trip.CompareAndSwap(t, nil) {
		return c.Conn.Write(b)
	}
	defer close(t.reached)
	defer c.wire.silent.Store(true)
	if t.before {
		return len(b), nil
	}
	return c.Conn.Write(b)
}
