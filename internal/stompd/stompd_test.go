package stompd_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	gostomp "github.com/go-stomp/stomp/v3"
	"go.uber.org/goleak"

	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a broker until the test ends.
func start(t *testing.T, cfg stompd.Config) (b *stompd.Broker, addr string) {
	t.Helper()
	b, err := stompd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return b, ln.Addr().String()
}

func dial(t *testing.T, addr string) *stomp.Conn {
	t.Helper()
	c, err := stomp.Dial(t.Context(), addr, stomp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func subscribe(t *testing.T, c *stomp.Conn, o stomp.SubscribeOptions) *stomp.Subscription {
	t.Helper()
	s, err := c.Subscribe(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, c *stomp.Conn, dest, body string, headers ...string) {
	t.Helper()
	r, err := c.Send(t.Context(), dest, []byte(body), headers...)
	if err == nil {
		err = r.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, s *stomp.Subscription) *stomp.Message {
	t.Helper()
	select {
	case m, ok := <-s.Messages():
		if !ok {
			t.Fatal("subscription ended")
		}
		return m
	case <-time.After(testkit.Patience):
		t.Fatal("no message")
		return nil
	}
}

func ack(t *testing.T, c *stomp.Conn, m *stomp.Message) {
	t.Helper()
	r, err := c.Ack(t.Context(), m)
	if err == nil {
		err = r.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stat is the state of the workers' queue.
func stat(b *stompd.Broker) msgqueue.Stat {
	for _, s := range b.Stats() {
		if s.Name == message.QueueSlicesWorkers {
			return s
		}
	}
	return msgqueue.Stat{}
}

func TestATopicFansOutToItsQueues(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{})
	c := dial(t, addr)
	workers := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	idds := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesIDDS, Window: 1})
	send(t, c, message.TopicSlices, "one", "run_id", "7", "persistent", "true")
	for _, s := range []*stomp.Subscription{workers, idds} {
		m := next(t, s)
		if string(m.Body) != "one" || m.Destination != message.TopicSlices || m.Header.Get("run_id") != "7" {
			t.Errorf("got %q from %s with %v", m.Body, m.Destination, m.Header)
		}
		ack(t, c, m)
	}
}

func TestADurableSubscriptionMissesNothingWhileItIsAway(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{})
	away := func() *stomp.Conn {
		c, err := stomp.Dial(t.Context(), addr, stomp.Config{ClientID: "idds"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	o := stomp.SubscribeOptions{
		Destination: "/topic/t", Selector: "color='red'", Headers: []string{"durable-subscription-name", "runs"},
	}
	first := away()
	subscribe(t, first, o)
	if err := first.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := dial(t, addr)
	send(t, c, "/topic/t", "mine", "color", "red")
	send(t, c, "/topic/t", "not mine", "color", "blue")
	send(t, c, "/topic/t", "mine too", "color", "red")
	s := subscribe(t, away(), o)
	o.ID = ""
	for _, want := range []string{"mine", "mine too"} {
		if m := next(t, s); string(m.Body) != want {
			t.Errorf("got %q, want %q", m.Body, want)
		}
	}
	if _, err := c.Subscribe(t.Context(), o); err == nil || !strings.Contains(err.Error(), "without client-id") {
		t.Errorf("got %v", err)
	}
}

func TestAWindowOfOneHoldsExactlyOneMessage(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{})
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	for _, body := range []string{"a", "b", "c"} {
		send(t, c, message.TopicSlices, body)
	}
	if got := stat(b); got.InFlight != 1 || got.Depth != 2 {
		t.Errorf("in flight %d, waiting %d", got.InFlight, got.Depth)
	}
	for _, want := range []string{"a", "b", "c"} {
		m := next(t, s)
		if string(m.Body) != want {
			t.Errorf("got %q, want %q", m.Body, want)
		}
		ack(t, c, m)
	}
}

func TestUnsubscribeGivesBackUncountedAndDisconnectCounts(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{MaxDeliveries: 3})
	producer := dial(t, addr)
	send(t, producer, message.TopicSlices, "x", message.HeaderDuplicateID, "d1")
	take := func() (*stomp.Conn, *stomp.Subscription, *stomp.Message) {
		c := dial(t, addr)
		s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
		return c, s, next(t, s)
	}
	for range 5 {
		c, s, m := take()
		if m.Header.Get("redelivered") != "false" {
			t.Error("a released message counts as redelivered")
		}
		if err := s.Unsubscribe(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	for i := range 3 {
		c, _, m := take()
		if got, want := m.Header.Get("redelivered"), map[bool]string{true: "true", false: "false"}[i > 0]; got != want {
			t.Errorf("delivery %d: redelivered %s, want %s", i, got, want)
		}
		_ = c.Close()
		// The broker notices the end on its own; the next subscriber waits for the message, so nothing is to wait for here.
	}
	s := subscribe(t, producer, stomp.SubscribeOptions{Destination: "DLQ", Window: 1})
	m := next(t, s)
	if m.Header.Get(message.HeaderOriginalQueue) != message.QueueSlicesWorkers || string(m.Body) != "x" {
		t.Errorf("dead letter %q of %s", m.Body, m.Header.Get(message.HeaderOriginalQueue))
	}
	if got := stat(b).Dead; got != 1 {
		t.Errorf("%d dead", got)
	}
}

func TestSelectorsSeeOnlyStrings(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{})
	c := dial(t, addr)
	for _, c2 := range []struct {
		selector string
		want     bool
	}{
		{"run_id = '7'", true},
		{"run_id = 7", false},
		{"run_id <> '8' AND namespace='x'", true},
		{"NOT (run_id = '7')", false},
		{"absent = 'a' OR run_id='7'", true},
		{"absent <> 'a'", false},
		{"NOT absent = 'a'", false},
	} {
		s := subscribe(t, c, stomp.SubscribeOptions{Destination: "/topic/t", Selector: c2.selector, Ack: "auto"})
		send(t, c, "/topic/t", "probe", "run_id", "7", "namespace", "x")
		send(t, c, "/topic/t", "end", "run_id", "8", "namespace", "x") // matched by the complement below
		all := subscribe(t, c, stomp.SubscribeOptions{Destination: "/topic/t", Ack: "auto"})
		send(t, c, "/topic/t", "probe", "run_id", "7", "namespace", "x")
		next(t, all) // what s was to get has been routed
		got := false
		select {
		case m := <-s.Messages():
			got = string(m.Body) == "probe"
		default:
		}
		if !got && c2.want {
			got = string(next(t, s).Body) == "probe"
		}
		if got != c2.want {
			t.Errorf("%s: matched %v", c2.selector, got)
		}
		for _, sub := range []*stomp.Subscription{s, all} {
			if err := sub.Unsubscribe(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDuplicateIDsAreDroppedWithAReceipt(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{IDCacheSize: 2})
	c := dial(t, addr)
	for _, id := range []string{"a", "a", "b", "c", "a"} { // the ring holds two: the last a is new again
		send(t, c, message.TopicSlices, id, message.HeaderDuplicateID, id)
	}
	if got := stat(b).Depth; got != 4 {
		t.Errorf("%d messages, want 4", got)
	}
	if _, dup := b.Unrouted(); dup != 1 {
		t.Errorf("%d duplicates, want 1", dup)
	}
}

func TestALiteralQueueAddressDropsWithAReceipt(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{})
	c := dial(t, addr)
	send(t, c, message.QueueSlicesWorkers, "lost")
	if lost, _ := b.Unrouted(); lost != 1 || stat(b).Depth != 0 {
		t.Errorf("unrouted %d", lost)
	}
}

func TestWhatIsWrongIsAnErrorThatClosesTheConnection(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{QueueLimit: 1})
	wait := func(t *testing.T, c *stomp.Conn, r *stomp.Receipt, err error, want string) {
		t.Helper()
		if err == nil && r != nil {
			err = r.Wait(t.Context())
		}
		if e, ok := errors.AsType[*stomp.ServerError](err); !ok || !strings.Contains(e.Message, want) {
			t.Errorf("got %v, want %s", err, want)
		}
		select {
		case <-c.Done():
		case <-time.After(testkit.Patience):
			t.Error("the connection is still open")
		}
	}
	t.Run("BadSelector", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		_, err := c.Subscribe(t.Context(), stomp.SubscribeOptions{Destination: "/topic/a", Selector: "run_id ="})
		wait(t, c, nil, err, "selector")
	})
	t.Run("UnknownAck", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		r, err := c.Ack(t.Context(), &stomp.Message{AckID: "s1,99"})
		wait(t, c, r, err, "acknowledge")
	})
	t.Run("FullQueue", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		send(t, c, message.TopicResults, "fits")
		r, err := c.Send(t.Context(), message.TopicResults, []byte("too many"))
		wait(t, c, r, err, "full")
	})
}

func TestAWrongPasscodeIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{Users: map[string]string{"panda": "right"}})
	_, err := stomp.Dial(t.Context(), addr, stomp.Config{Login: "panda", Passcode: "wr0ng"})
	if err == nil || strings.Contains(err.Error(), "wr0ng") || !strings.Contains(err.Error(), "security") {
		t.Errorf("got %v", err)
	}
	c, err := stomp.Dial(t.Context(), addr, stomp.Config{Login: "panda", Passcode: "right"})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestAnIndependentClientWorksWithIt(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{})
	c, err := gostomp.Dial("tcp", addr, gostomp.ConnOpt.HeartBeat(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Subscribe(message.QueueSlicesWorkers, gostomp.AckClientIndividual)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"a", "b"} {
		if err := c.Send(message.TopicSlices, "application/json", []byte(body), gostomp.SendOpt.Receipt); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a", "b"} {
		m := <-s.C
		if m.Err != nil || string(m.Body) != want {
			t.Fatalf("got %q, %v", m.Body, m.Err)
		}
		if err := c.Ack(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if got := stat(b); got.Acked != 2 || got.Depth != 0 {
		t.Errorf("%+v", got)
	}
}
