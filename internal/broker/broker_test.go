package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen runs an embedded broker on addr until stop.
func listen(t *testing.T, b *stompd.Broker, addr string) (at string, stop func()) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String(), serve(t, b, ln)
}

func serve(t *testing.T, b *stompd.Broker, ln net.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Serve(ctx, ln) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
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
	return linked(t, broker.Config{Addrs: addrs, Tuning: broker.Tuning{FirstWait: time.Millisecond, EarlyCap: 20 * time.Millisecond}})
}

func linked(t *testing.T, cfg broker.Config) *broker.Link {
	t.Helper()
	l, err := broker.New(cfg)
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
	ctx := testkit.Soon(t)
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
	addr, _ := listen(t, newBroker(t), "127.0.0.1:0")
	l := run(t, testkit.Nobody(t), addr)
	ctx := testkit.Soon(t)
	if err := l.Publish(ctx, broker.Out{Destination: message.TopicSlices, Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if s := l.State(); !s.Connected || s.Addr != addr {
		t.Errorf("%+v", s)
	}
}

func TestPublishWaitsForABrokerNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	l := run(t, testkit.Nobody(t))
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
	ctx := testkit.Soon(t)
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

// refuses is a broker that says the same to everybody, and hangs up.
func refuses(t *testing.T, answer string) (addr string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 1<<10))
			_, _ = nc.Write([]byte(answer))
			_ = nc.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	return ln.Addr().String()
}

// stateWhen waits for a state.
func stateWhen(t *testing.T, l *broker.Link, ok func(broker.State) bool) broker.State {
	t.Helper()
	ctx := testkit.Soon(t)
	for {
		changed := l.Changed()
		s := l.State()
		if ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("still %+v", s)
		}
	}
}

func TestABrokerThatLetsInAndHangsUpIsNone(t *testing.T) {
	t.Parallel()
	l := run(t, refuses(t, "CONNECTED\nversion:1.2\n\n\x00"))
	began := l.State().Since
	s := stateWhen(t, l, func(s broker.State) bool { return !s.Connected && s.Generation >= 3 })
	if !s.Since.Equal(began) || exitcode.From(s.Err) != exitcode.NoBroker {
		t.Errorf("the outage of %s began at %s: %v", began, s.Since, s.Err)
	}
}

func TestAGoodConnectionEndsAnOutage(t *testing.T) {
	t.Parallel()
	addr, stop := listen(t, newBroker(t), "127.0.0.1:0")
	l := run(t, addr)
	began := l.State().Since
	if err := l.Publish(t.Context(), broker.Out{Destination: message.TopicSlices, Body: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	stop()
	s := stateWhen(t, l, func(s broker.State) bool { return !s.Connected && s.Generation == 1 })
	if !s.Since.After(began) {
		t.Errorf("still the outage of the beginning: %+v", s)
	}
}

func TestARefusalOfTheLoginSaysSoWithoutThePasscode(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]exitcode.Failure{
		"ERROR\nmessage:User name [worker] or password is invalid.\n\ns3cret\x00": exitcode.NoCredential,
		"ERROR\nmessage:Security Error occurred\n\nAMQ229031\x00":                 exitcode.NoCredential,
		"ERROR\nmessage:too many connections\n\n\x00":                             exitcode.BrokerRefused,
		"HTTP/1.1 400 Bad Request\r\n\r\n":                                        exitcode.NoBroker,
		"":                                                                        exitcode.NoBroker,
	} {
		addr := refuses(t, answer)
		l, err := broker.New(broker.Config{Addrs: []string{addr}, Login: "worker", Passcode: "s3cret"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = l.Run(ctx) }()
		s := stateWhen(t, l, func(s broker.State) bool { return s.Err != nil && !strings.Contains(s.Err.Error(), "no answer yet") })
		if exitcode.From(s.Err) != want || strings.Contains(s.Err.Error(), "s3cret") || !strings.Contains(s.Err.Error(), addr) {
			t.Errorf("%q: %s: %v", answer, exitcode.From(s.Err).Name, s.Err)
		}
		cancel()
		<-ended
	}
}

func TestAnOutageIsNotALineForEveryAttempt(t *testing.T) {
	t.Parallel()
	var log lines
	attempts := make(chan struct{}, 1000)
	l, err := broker.New(broker.Config{
		Addrs: []string{"a:1", "b:1"}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Tuning: broker.Tuning{FirstWait: time.Millisecond, EarlyCap: time.Millisecond},
		Dial: func(_ context.Context, addr string) (*stomp.Conn, error) {
			attempts <- struct{}{}
			return nil, fmt.Errorf("read tcp 127.0.0.1:%d->%s: connection reset by peer", 40000+len(attempts), addr)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = l.Run(ctx) }()
	for len(attempts) < 100 {
		<-l.Changed()
	}
	cancel()
	<-ended
	if n := log.n.Load(); n != 2 {
		t.Errorf("%d lines of two addresses", n)
	}
}

// lines counts what is written.
type lines struct{ n atomic.Int32 }

func (l *lines) Write(b []byte) (int, error) {
	l.n.Add(1)
	return len(b), nil
}
