package stompd_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// once is a fault of the first frame that is meant, and of no other.
func once(fault stompd.Fault, meant func(stompd.Passing) bool) func(stompd.Passing) stompd.Fault {
	var done atomic.Bool
	return func(p stompd.Passing) stompd.Fault {
		if meant(p) && done.CompareAndSwap(false, true) {
			return fault
		}
		return stompd.Fault{}
	}
}

func isSend(p stompd.Passing) bool { return p.In && p.Command == frame.SEND }

func out(command string) func(stompd.Passing) bool {
	return func(p stompd.Passing) bool { return !p.In && p.Command == command }
}

// began sends without waiting for the receipt.
func began(t *testing.T, c *stomp.Conn, body string) *stomp.Receipt {
	t.Helper()
	r, err := c.Send(t.Context(), message.TopicSlices, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAFrameCanBeLost(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{Fault: once(stompd.Fault{Drop: true}, isSend)})
	c := dial(t, addr)
	lost := began(t, c, "lost")
	send(t, c, message.TopicSlices, "x")
	if q := stat(b); q.Depth != 1 {
		t.Errorf("%+v", q)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if lost.Wait(t.Context()) == nil {
		t.Error("a lost frame has a receipt")
	}
}

func TestAReceiptCanBeLate(t *testing.T) {
	t.Parallel()
	now := make(chan struct{})
	_, addr := start(t, stompd.Config{Fault: once(stompd.Fault{Late: now}, out(frame.RECEIPT))})
	c := dial(t, addr)
	late := began(t, c, "a")
	send(t, c, message.TopicSlices, "b") // its receipt overtakes
	select {
	case <-late.Done():
		t.Error("it is not late")
	default:
	}
	close(now)
	if err := late.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFaultThatWaitsHoldsWhatIsBehind(t *testing.T) {
	t.Parallel()
	now := make(chan struct{})
	_, addr := start(t, stompd.Config{Fault: func(p stompd.Passing) stompd.Fault {
		if out(frame.RECEIPT)(p) && p.Conn == 1 {
			select {
			case <-now:
			case <-p.Done:
			}
		}
		return stompd.Fault{}
	}})
	c := dial(t, addr)
	held := began(t, c, "a")
	send(t, dial(t, addr), message.TopicSlices, "b") // others are not concerned
	select {
	case <-held.Done():
		t.Error("it was not held")
	default:
	}
	close(now)
	if err := held.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAMessageCanComeTwice(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{Fault: once(stompd.Fault{Twice: true}, out(frame.MESSAGE))})
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: "/topic/t", Ack: "auto"})
	send(t, c, "/topic/t", "x")
	for range 2 {
		if m := next(t, s); string(m.Body) != "x" {
			t.Errorf("got %s", m.Body)
		}
	}
}

func TestRedeliveredCanLie(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{Fault: func(p stompd.Passing) stompd.Fault {
		if out(frame.MESSAGE)(p) {
			p.Header.Set("redelivered", "true")
		}
		return stompd.Fault{}
	}})
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	send(t, c, message.TopicSlices, "x")
	if m := next(t, s); m.Header.Get("redelivered") != "true" {
		t.Error("it does not lie")
	}
}

func TestARequestCanBeRefused(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{Fault: once(stompd.Fault{Refuse: "no room"}, isSend)})
	err := began(t, dial(t, addr), "x").Wait(t.Context())
	if refused, ok := errors.AsType[*stomp.ServerError](err); !ok {
		t.Errorf("got %v", refused)
	}
	send(t, dial(t, addr), message.TopicSlices, "x")
}

// The four places around a SEND at which a connection may end: what the client knows is the same, what the broker has is not.
func TestAConnectionCanEndAtAnyPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   stompd.Fault
		meant   func(stompd.Passing) bool
		depth   int
		receipt bool
	}{
		"before the SEND":    {stompd.Fault{CutBefore: true}, isSend, 0, false},
		"after the SEND":     {stompd.Fault{CutAfter: true}, isSend, 1, false},
		"before the RECEIPT": {stompd.Fault{CutBefore: true}, out(frame.RECEIPT), 1, false},
		"after the RECEIPT":  {stompd.Fault{CutAfter: true}, out(frame.RECEIPT), 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, addr := start(t, stompd.Config{Fault: once(c.fault, c.meant)})
			conn := dial(t, addr)
			if err := began(t, conn, "x").Wait(t.Context()); (err == nil) != c.receipt {
				t.Errorf("the client has a receipt: %v", err)
			}
			<-conn.Done()
			if q := stat(b); q.Depth != c.depth {
				t.Errorf("%+v, want %d in the queue", q, c.depth)
			}
		})
	}
}
