package stomp_test

import (
	"net"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"
	"go.uber.org/goleak"

	"tfpilot/internal/stomp"
	"tfpilot/internal/testkit"
)

var soon = testkit.Soon

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the broker's end of a pipe: a script says what it answers. It reads and writes with go-stomp's codec.
type peer struct {
	t  testing.TB
	nc net.Conn
	r  *frame.Reader
	w  *frame.Writer
}

// pipe connects a session to a script, which first accepts the CONNECT with the given headers. The script's end of the pipe
// is closed when it returns; the session when the test ends.
func pipe(tb testing.TB, connected []string, script func(p *peer)) *stomp.Conn {
	tb.Helper()
	ours, theirs := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer theirs.Close()
		p := newPeer(tb, theirs)
		p.next(frame.CONNECT)
		p.send(frame.CONNECTED, connected...)
		script(p)
	}()
	c, err := stomp.NewConn(tb.Context(), ours, stomp.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = c.Close()
		<-ended
	})
	return c
}

var plain = []string{"version", "1.2", "heart-beat", "0,0"}

func newPeer(tb testing.TB, nc net.Conn) *peer {
	tb.Helper()
	return &peer{t: tb, nc: nc, r: frame.NewReader(nc), w: frame.NewWriter(nc)}
}

// read returns the next frame that is no heart-beat, nil at the end of the connection.
func (p *peer) read() *frame.Frame {
	for {
		f, err := p.r.Read()
		if err != nil || f != nil {
			return f
		}
	}
}

// next is the next frame, which has to be a certain one.
func (p *peer) next(command string) *frame.Frame {
	f := p.read()
	if f == nil || f.Command != command {
		p.t.Errorf("the client sent %v, want %s", f, command)
		return frame.New(command)
	}
	return f
}

func (p *peer) send(command string, headers ...string) { p.sendBody(command, "", headers...) }

func (p *peer) sendBody(command, body string, headers ...string) {
	f := frame.New(command, headers...)
	f.Body = []byte(body)
	_ = p.w.Write(f) // the session may be gone, which is for the test to see
}

func (p *peer) receipt(f *frame.Frame) {
	p.send(frame.RECEIPT, "receipt-id", f.Header.Get(frame.Receipt))
}

// confirm answers everything with a receipt until the session is gone.
func (p *peer) confirm() {
	for f := p.read(); f != nil; f = p.read() {
		p.receipt(f)
	}
}

// subscribed confirms the SUBSCRIBE and returns its id.
func (p *peer) subscribed() string {
	f := p.next(frame.SUBSCRIBE)
	p.receipt(f)
	return f.Header.Get(frame.Id)
}

func (p *peer) message(sub, id, body string) {
	p.sendBody(frame.MESSAGE, body, "subscription", sub, "message-id", id, "ack", "ack-"+id, "destination", "/queue/q")
}

func subscribe(tb testing.TB, c *stomp.Conn, o stomp.SubscribeOptions) *stomp.Subscription {
	tb.Helper()
	s, err := c.Subscribe(soon(tb), o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func receive(tb testing.TB, s *stomp.Subscription) *stomp.Message {
	tb.Helper()
	select {
	case m, ok := <-s.Messages():
		if !ok {
			tb.Fatal("the subscription has ended")
		}
		return m
	case <-soon(tb).Done():
		tb.Fatal("no message came")
	}
	return nil
}

// await waits for the end of a connection and returns its reason.
func await(tb testing.TB, c *stomp.Conn) error {
	tb.Helper()
	select {
	case <-c.Done():
	case <-soon(tb).Done():
		tb.Fatal("the connection has not ended")
	}
	return c.Err()
}
