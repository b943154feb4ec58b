package broker_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen runs an embedded broker on addr until stop.
func listen(t *testing.T, b *stompd.Broker, addr string) (at string, stop func()) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Serve(ctx, ln) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

func newBroker(t *testing.T) *stompd.Broker {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func run(t *testing.T, addrs ...string) *broker.Link {
	t.Helper()
	l, err := broker.New(broker.Config{Addrs: addrs, Tuning: broker.Tuning{FirstWait: time.Millisecond, EarlyCap: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return l
}

func TestPublishAndConsumerOutliveTheConnection(t *testing.T) {
	t.Parallel()
	addr, stop := listen(t, newBroker(t), "127.0.0.1:0")
	l := run(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := l.Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	if err := l.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	first, err := c.Next(ctx)
	if err != nil || string(first.Body) != "a" {
		t.Fatalf("%v, %v", first, err)
	}
	stop() // the broker is in memory: a new one is empty
	published := make(chan error, 1)
	go func() {
		published <- l.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte("b"), DuplicateID: "b"})
	}()
	_, _ = listen(t, newBroker(t), addr)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	second, err := c.Next(ctx)
	if err != nil || string(second.Body) != "b" || second.Generation != first.Generation+1 {
		t.Fatalf("%v, %v", second, err)
	}
	if err := first.Ack(ctx); !errors.Is(err, broker.ErrStale) {
		t.Errorf("an acknowledgement of the old connection: %v", err)
	}
	if err := second.Ack(ctx); err != nil {
		t.Errorf("an acknowledgement of the new connection: %v", err)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Next(ctx); !errors.Is(err, broker.ErrConsumerClosed) {
		t.Errorf("next after close: %v", err)
	}
}

func TestTheNextBrokerOfTheListIsTried(t *testing.T) {
	t.Parallel()
	dead, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	addr, _ := listen(t, newBroker(t), "127.0.0.1:0")
	l := run(t, dead.Addr().String(), addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if s := l.State(); !s.Connected || s.Addr != addr {
		t.Errorf("%+v", s)
	}
}

func TestPublishWaitsForABrokerNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	l := run(t, "127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := l.Publish(ctx, broker.Out{Destination: message.TopicSlices}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestClosingAConsumerGivesBackWhatItHolds(t *testing.T) {
	t.Parallel()
	addr, _ := listen(t, newBroker(t), "127.0.0.1:0")
	l := run(t, addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	o := stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1}
	a := l.Subscribe(o)
	if err := l.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Next(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := l.Subscribe(o).Next(ctx)
	if err != nil || m.Header.Get("redelivered") != "false" {
		t.Errorf("%v, %v", m, err)
	}
}
