package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// patience is how long an answer that must come may take on a machine that is busy.
const patience = 20 * time.Second

// peer is a client that does what it is told, right or wrong.
type peer struct {
	p       *probe
	nc      net.Conn
	w       *stompframe.Writer
	r       *stompframe.Reader
	version string
	hello   *frame.Frame   // CONNECTED
	inbox   []*frame.Frame // messages that came while something else was waited for
	serial  int
}

// dial opens a connection without a CONNECT.
func (p *probe) dial() *peer {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		p.Fatalf("dialling: %v", err)
	}
	p.Cleanup(func() { nc.Close() })
	limits := stompframe.Limits{HeaderBytes: 1 << 20}
	return &peer{p: p, nc: nc, w: stompframe.NewWriter(nc), r: stompframe.NewReader(nc, limits), version: "1.2"}
}

// connect opens a session; headers replace those that it has anyway.
func (p *probe) connect(headers ...string) *peer {
	p.Helper()
	c := p.dial()
	c.connect(headers...)
	if c.hello.Command != frame.CONNECTED {
		p.Fatalf("CONNECT: %s", said(c.hello))
	}
	return c
}

func (c *peer) connect(headers ...string) {
	c.p.Helper()
	c.put(frame.CONNECT, "", defaults(headers, frame.AcceptVersion, "1.2", frame.Host, "localhost",
		frame.Login, c.p.Login, frame.Passcode, c.p.Passcode, frame.HeartBeat, "0,0")...)
	c.hello = c.next(patience)
	if c.hello == nil {
		c.p.Fatal("no answer to CONNECT")
	}
	c.version = c.hello.Header.Get(frame.Version)
}

// put writes a frame.
func (c *peer) put(command, body string, headers ...string) {
	c.p.Helper()
	if err := c.write(command, body, headers...); err != nil {
		c.p.Fatalf("writing %s: %v", command, err)
	}
}

// write is put to a broker that may hang up meanwhile.
func (c *peer) write(command, body string, headers ...string) error {
	f := frame.New(command, headers...)
	f.Body = []byte(body)
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	if err := c.w.Write(f); err != nil {
		return err
	}
	return c.w.Flush()
}

// next is the next frame that is no heart-beat; nil when none comes in time.
func (c *peer) next(wait time.Duration) *frame.Frame {
	c.p.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(wait))
	for {
		f, err := c.r.Read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			c.p.Fatalf("the broker closed the connection (%v)", err)
		case f != nil:
			return f
		}
	}
}

// answer waits for the RECEIPT of an id, or for an ERROR, and keeps the messages that come before.
func (c *peer) answer(id string) *frame.Frame {
	c.p.Helper()
	for {
		f := c.next(patience)
		switch {
		case f == nil:
			c.p.Fatalf("no answer to %s", id)
			return nil
		case f.Command == frame.MESSAGE:
			c.inbox = append(c.inbox, f)
		case f.Command == frame.ERROR, f.Command == frame.RECEIPT && f.Header.Get(frame.ReceiptId) == id:
			return f
		default:
			c.p.Fatalf("got %s, want the answer to %s", said(f), id)
		}
	}
}

// said is a frame in one line, cut.
func said(f *frame.Frame) string {
	if f == nil {
		return "nothing"
	}
	var line strings.Builder
	line.WriteString(f.Command)
	for i := range f.Header.Len() {
		key, value := f.Header.GetAt(i)
		fmt.Fprintf(&line, " %s:%.80s", key, value)
	}
	fmt.Fprintf(&line, " %.80q", f.Body)
	return line.String()
}

// try sends a frame with a receipt and returns the answer, RECEIPT or ERROR.
func (c *peer) try(command, body string, headers ...string) *frame.Frame {
	c.p.Helper()
	c.serial++
	id := "r" + strconv.Itoa(c.serial)
	c.put(command, body, append(headers, frame.Receipt, id)...)
	return c.answer(id)
}

// must is try, and the answer is a RECEIPT.
func (c *peer) must(command, body string, headers ...string) {
	c.p.Helper()
	if f := c.try(command, body, headers...); f.Command != frame.RECEIPT {
		c.p.Fatalf("%s %v refused: %s", command, headers, said(f))
	}
}

// refused is try, and the answer is an ERROR; open is whether the broker goes on listening then.
func (c *peer) refused(open bool, command, body string, headers ...string) {
	c.p.Helper()
	f := c.try(command, body, headers...)
	if f.Command != frame.ERROR {
		c.p.Fatalf("%s %v has a RECEIPT, want an ERROR", command, headers)
	}
	c.stays(open)
}

// stays checks whether the connection is open.
func (c *peer) stays(open bool) {
	c.p.Helper()
	if open {
		c.must(frame.SEND, "still here", frame.Destination, c.p.topic())
		return
	}
	c.closed(patience)
}

// closed waits for the end of the connection.
func (c *peer) closed(wait time.Duration) {
	c.p.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(wait))
	for {
		_, err := c.r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.p.Fatal("the connection is still open")
		}
		if err != nil {
			return
		}
	}
}

// send publishes and waits for the receipt. Without content-length, as the peers of production do.
func (c *peer) send(destination, body string, headers ...string) {
	c.p.Helper()
	headers = append(headers, frame.Destination, destination, "namespace", c.p.name)
	c.must(frame.SEND, body, append(headers, c.p.typed("destination-type", destination)...)...)
}

// subscribe waits for the receipt. Without an ack header it is client-individual, with a window of one.
func (c *peer) subscribe(id, destination string, headers ...string) {
	c.p.Helper()
	c.must(frame.SUBSCRIBE, "", c.subscription(id, destination, headers...)...)
}

func (c *peer) subscription(id, destination string, headers ...string) []string {
	if len(headers) < 2 || headers[0] != frame.Ack || headers[1] != frame.AckAuto {
		headers = defaults(headers, frame.Ack, frame.AckClientIndividual, window, "1")
	}
	headers = append(headers, frame.Id, id, frame.Destination, destination)
	return append(headers, c.p.typed("subscription-type", destination)...)
}

// defaults adds pairs of key and value whose keys are not there yet.
func defaults(headers []string, pairs ...string) []string {
	h := frame.NewHeader(headers...)
	for i := 0; i < len(pairs); i += 2 {
		if _, ok := h.Contains(pairs[i]); !ok {
			headers = append(headers, pairs[i], pairs[i+1])
		}
	}
	return headers
}

// window is the header of SUBSCRIBE that both brokers understand, each in its way.
const window = "activemq.prefetchSize"

func (c *peer) unsubscribe(id string) {
	c.p.Helper()
	c.must(frame.UNSUBSCRIBE, "", frame.Id, id)
}

// arrived is the next message, or another frame; nil when none comes in time.
func (c *peer) arrived(wait time.Duration) *frame.Frame {
	c.p.Helper()
	if len(c.inbox) > 0 {
		m := c.inbox[0]
		c.inbox = c.inbox[1:]
		return m
	}
	return c.next(wait)
}

// message is the next one.
func (c *peer) message() *frame.Frame {
	c.p.Helper()
	f := c.arrived(patience)
	switch {
	case f == nil:
		c.p.Fatal("no message")
	case f.Command != frame.MESSAGE:
		c.p.Fatalf("got %s, want a message", said(f))
	}
	return f
}

// silent checks that no message comes.
func (c *peer) silent() {
	c.p.Helper()
	if len(c.inbox) > 0 {
		c.p.Fatalf("got message %q, want none", c.inbox[0].Body)
	}
	if f := c.next(c.p.Quiet); f != nil {
		c.p.Fatalf("got %s, want nothing", said(f))
	}
}

// settles are the headers that an ACK or NACK of a message has.
func (c *peer) settles(m *frame.Frame) []string {
	if c.version == "1.1" {
		return []string{frame.MessageId, m.Header.Get(frame.MessageId), frame.Subscription, m.Header.Get(frame.Subscription)}
	}
	all := m.Header.GetAll(frame.Ack)
	return []string{frame.Id, all[len(all)-1]}
}

func (c *peer) ack(m *frame.Frame, headers ...string) {
	c.p.Helper()
	c.must(frame.ACK, "", append(c.settles(m), headers...)...)
}

// kill ends the connection without a word.
func (c *peer) kill() {
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.nc.Close()
}

// leave says goodbye and waits until the broker has heard it.
func (c *peer) leave() {
	c.p.Helper()
	c.must(frame.DISCONNECT, "")
	c.nc.Close()
}
