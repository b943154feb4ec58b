package stompd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	gostomp "github.com/go-stomp/stomp/v3"

	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

func TestAutomaticAcknowledgementHoldsNothing(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{})
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: "/topic/t", Ack: "auto"})
	const n = 500
	for i := range n {
		send(t, c, "/topic/t", strconv.Itoa(i))
	}
	for i := range n {
		if m := next(t, s); string(m.Body) != strconv.Itoa(i) {
			t.Fatalf("got %s, want %d", m.Body, i)
		}
	}
}

func TestAMessageThatTakesTenWorkersDownIsADeadLetterThatSaysWhereItIsFrom(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{})
	send(t, dial(t, addr), message.TopicSlices, "poison", "namespace", "n", "_AMQ_DUPL_ID", "1")
	for i := range 10 {
		c := dial(t, addr)
		s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
		if m := next(t, s); (m.Header.Get("redelivered") == "true") != (i > 0) {
			t.Errorf("delivery %d: redelivered %s", i, m.Header.Get("redelivered"))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{
		Destination: "DLQ", Selector: "_AMQ_ORIG_QUEUE='/queue/panda.slices.transformer' AND namespace='n'",
	})
	if m := next(t, s); string(m.Body) != "poison" || m.Header.Get("_AMQ_ORIG_ADDRESS") != message.TopicSlices {
		t.Errorf("%s, %v", m.Body, m.Header)
	}
	if q := stat(b); q.Dead != 1 || q.Depth != 0 {
		t.Errorf("%+v", q)
	}
}

// What a dying connection gives back goes to others, and counts once however many subscriptions it has.
func TestTheEndOfAConnectionCountsOnceWithManySubscriptions(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{MaxDeliveries: 3})
	c := dial(t, addr)
	send(t, c, message.TopicSlices, "x")
	for range 8 {
		subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, dial(t, addr), stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	if m := next(t, s); m.Header.Get("redelivered") != "true" {
		t.Error("it does not count as a failed delivery")
	}
	if q := stat(b); q.Dead != 0 {
		t.Errorf("%+v", q)
	}
}

// The first subscription is idle when the connection ends, the second holds the only message of a queue made on demand.
func TestTheEndOfAConnectionLosesNothingOfAQueueMadeOnDemand(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{})
	o := stomp.SubscribeOptions{Destination: "mine", Window: 1, Headers: []string{"subscription-type", "ANYCAST"}}
	c, p := dial(t, addr), dial(t, addr)
	idle, busy := subscribe(t, c, o), subscribe(t, c, o)
	send(t, p, "mine", "x", "destination-type", "ANYCAST")
	send(t, p, "mine", "y", "destination-type", "ANYCAST")
	ack(t, c, next(t, idle))
	want := string(next(t, busy).Body)
	if err := c.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := waiting(t, addr, "mine"); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

func TestSeveralSubscriptionsOfAConnectionGiveBackInOrder(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{})
	c, p := dial(t, addr), dial(t, addr)
	var subs []*stomp.Subscription
	for range 4 {
		subs = append(subs, subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1}))
	}
	want := []string{"1", "2", "3", "4", "5"}
	for _, body := range want {
		send(t, p, message.TopicSlices, body)
	}
	for _, s := range subs {
		next(t, s)
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, dial(t, addr), stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1 << 20})
	for _, body := range want {
		if m := next(t, s); string(m.Body) != body {
			t.Errorf("got %s, want %s", m.Body, body)
		}
	}
}

func TestAnExpiredMessageIsNotDelivered(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{ExpiryScan: time.Hour})
	c := dial(t, addr)
	at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10) }
	send(t, c, message.TopicSlices, "long ago", "expires", at(-time.Hour))
	send(t, c, message.TopicSlices, "soon", "expires", at(20*time.Millisecond))
	send(t, c, message.TopicSlices, "later", "expires", at(time.Hour))
	<-time.After(50 * time.Millisecond) // an event would be the expiry that must not be seen before
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	if m := next(t, s); string(m.Body) != "later" {
		t.Errorf("got %s", m.Body)
	}
	if q := stat(b); q.Expired != 2 {
		t.Errorf("%+v", q)
	}
	old := subscribe(t, c, stomp.SubscribeOptions{Destination: "ExpiryQueue", Selector: "_AMQ_ORIG_QUEUE='/queue/panda.slices.transformer'", Window: 1})
	if m := next(t, old); string(m.Body) != "long ago" {
		t.Errorf("got %s", m.Body)
	}
}

// As Artemis does: to refuse a message is to throw it away.
func TestNACKDiscards(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{})
	c, err := gostomp.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Subscribe(message.QueueSlicesWorkers, gostomp.AckClientIndividual)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(message.TopicSlices, "text/plain", []byte("x"), gostomp.SendOpt.Receipt); err != nil {
		t.Fatal(err)
	}
	if err := c.Nack(<-s.C); err != nil {
		t.Fatal(err)
	}
	if err := c.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if q := stat(b); q.Depth != 0 || q.Dead != 0 {
		t.Errorf("%+v", q)
	}
}

func TestASilentClientIsCutOffAndItsMessagesGoBack(t *testing.T) {
	t.Parallel()
	b, addr := start(t, stompd.Config{HeartBeat: 20 * time.Millisecond})
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	send(t, dial(t, addr), message.TopicSlices, "x")
	// It promises heart-beats and falls silent.
	if _, err := nc.Write([]byte("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:20,20\n\n\x00" +
		"SUBSCRIBE\nid:1\nack:client-individual\ndestination:" + message.QueueSlicesWorkers + "\nconsumer-window-size:0\n\n\x00")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, nc); err != nil {
		t.Errorf("the broker did not close, but %v", err)
	}
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	if m := next(t, s); m.Header.Get("redelivered") != "true" {
		t.Error("it does not count as a failed delivery")
	}
	if q := stat(b); q.InFlight != 1 {
		t.Errorf("%+v", q)
	}
}

func TestAListenerThatIsClosedEndsTheBroker(t *testing.T) {
	t.Parallel()
	b, err := stompd.New(stompd.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(t.Context(), ln) }()
	dial(t, ln.Addr().String())
	ln.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestShuttingDownEndsEveryConnection(t *testing.T) {
	t.Parallel()
	b, err := stompd.New(stompd.Config{})
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
	c := dial(t, ln.Addr().String())
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1})
	send(t, c, message.TopicSlices, "x")
	next(t, s)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	select {
	case <-c.Done():
	case <-time.After(testkit.Patience):
		t.Error("a connection is still open")
	}
	if _, err := stomp.Dial(t.Context(), ln.Addr().String(), stomp.Config{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("it still listens: %v", err)
	}
}
