package stompd_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gostomp "github.com/go-stomp/stomp/v3"
	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
	"tfpilot/internal/seglog"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// serve runs a broker until stop is called, which returns what Serve did.
func serve(tb testing.TB, cfg stompd.Config) (addr string, stop func() error) {
	tb.Helper()
	b, err := stompd.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()
	var result error
	var stopped bool
	stop = func() error {
		cancel()
		if !stopped {
			stopped, result = true, <-ended
		}
		return result
	}
	tb.Cleanup(func() { _ = stop() })
	return ln.Addr().String(), stop
}

// killed is the state that a broker would leave now if its process was killed.
func killed(t *testing.T, state string) string {
	t.Helper()
	for {
		dir := t.TempDir()
		names, err := filepath.Glob(filepath.Join(state, "*.log"))
		for _, name := range names {
			var b []byte
			if b, err = os.ReadFile(name); err != nil {
				break
			}
			if err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
				break
			}
		}
		if err == nil {
			return dir
		}
		if !errors.Is(err, os.ErrNotExist) { // it was freed meanwhile
			t.Fatal(err)
		}
	}
}

// waiting takes everything that waits in a queue.
func waiting(t *testing.T, addr, queue string) (bodies []string) {
	t.Helper()
	c := dial(t, addr)
	s := subscribe(t, c, stomp.SubscribeOptions{Destination: queue, Window: 1, Headers: []string{"subscription-type", "ANYCAST"}})
	send(t, c, queue, "end", "destination-type", "ANYCAST")
	for {
		m := next(t, s)
		if string(m.Body) == "end" {
			ack(t, c, m)
			return bodies
		}
		bodies = append(bodies, string(m.Body))
		ack(t, c, m)
	}
}

const queueA = "/queue/a"

func put(t *testing.T, c *stomp.Conn, body string, headers ...string) {
	t.Helper()
	send(t, c, queueA, body, append(headers, "persistent", "true", "destination-type", "ANYCAST")...)
}

func subscribeA(t *testing.T, c *stomp.Conn) *stomp.Subscription {
	t.Helper()
	return subscribe(t, c, stomp.SubscribeOptions{Destination: queueA, Window: 1, Headers: []string{"subscription-type", "ANYCAST"}})
}

// after says what a broker has that is started on what another one has left, killed and stopped in good order.
func after(t *testing.T, cfg stompd.Config, stop func() error, check func(t *testing.T, b *stompd.Broker, addr string)) {
	t.Helper()
	dirs := map[string]string{"killed": killed(t, cfg.State)}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	dirs["stopped"] = cfg.State
	for name, dir := range dirs {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.State = dir
			b, addr := start(t, cfg)
			check(t, b, addr)
		})
	}
}

func TestPersistentMessagesOutliveTheBroker(t *testing.T) { //nolint:paralleltest // its parts are not
	cfg := stompd.Config{State: t.TempDir()}
	addr, stop := serve(t, cfg)
	c := dial(t, addr)
	put(t, c, "first", "odd", "a:b\\c\nd", "run_id", "7")
	send(t, c, queueA, "not persistent", "destination-type", "ANYCAST")
	put(t, c, "second")
	send(t, c, message.TopicSlices, "slice", "persistent", "true")
	after(t, cfg, stop, func(t *testing.T, _ *stompd.Broker, addr string) {
		t.Helper()
		c := dial(t, addr)
		s := subscribeA(t, c)
		m := next(t, s)
		if string(m.Body) != "first" || m.Header.Get("odd") != "a:b\\c\nd" || m.Header.Get("run_id") != "7" || m.Header.Get("redelivered") != "false" {
			t.Errorf("%s %v", m.Body, m.Header)
		}
		ack(t, c, m)
		if m := next(t, s); string(m.Body) != "second" {
			t.Errorf("got %s", m.Body)
		}
		for _, queue := range []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS} {
			if m := next(t, subscribe(t, c, stomp.SubscribeOptions{Destination: queue, Window: 1})); string(m.Body) != "slice" || m.Destination != message.TopicSlices {
				t.Errorf("%s from %s", m.Body, m.Destination)
			}
		}
	})
}

func TestAnAcknowledgementOutlivesTheBroker(t *testing.T) { //nolint:paralleltest // its parts are not
	cfg := stompd.Config{State: t.TempDir()}
	addr, stop := serve(t, cfg)
	c := dial(t, addr)
	s := subscribeA(t, c)
	for _, body := range []string{"one", "two", "three"} {
		put(t, c, body)
	}
	ack(t, c, next(t, s))
	next(t, s) // held when the broker ends: it comes again, as new
	after(t, cfg, stop, func(t *testing.T, _ *stompd.Broker, addr string) {
		t.Helper()
		c := dial(t, addr)
		if m := next(t, subscribeA(t, c)); string(m.Body) != "two" || m.Header.Get("redelivered") != "false" {
			t.Errorf("%s, redelivered %s", m.Body, m.Header.Get("redelivered"))
		}
	})
}

func TestFailedDeliveriesOutliveTheBroker(t *testing.T) { //nolint:paralleltest // its parts are not
	cfg := stompd.Config{State: t.TempDir(), MaxDeliveries: 2}
	addr, stop := serve(t, cfg)
	fail := func(addr string) {
		c := dial(t, addr)
		next(t, subscribe(t, c, stomp.SubscribeOptions{Destination: message.QueueSlicesWorkers, Window: 1}))
		if err := c.Disconnect(t.Context()); err != nil { // its receipt comes when that is on disk
			t.Fatal(err)
		}
	}
	send(t, dial(t, addr), message.TopicSlices, "poison", "persistent", "true")
	fail(addr)
	after(t, cfg, stop, func(t *testing.T, b *stompd.Broker, addr string) {
		t.Helper()
		fail(addr)
		if q := stat(b); q.Dead != 1 || q.Depth != 0 {
			t.Errorf("%+v", q)
		}
		if got := waiting(t, addr, "DLQ"); len(got) != 1 || got[0] != "poison" {
			t.Errorf("got %q", got)
		}
	})
}

func TestDuplicateIDsOutliveTheBroker(t *testing.T) { //nolint:paralleltest // its parts are not
	cfg := stompd.Config{State: t.TempDir(), IDCacheSize: 3}
	addr, stop := serve(t, cfg)
	c := dial(t, addr)
	for i := range 5 {
		put(t, c, fmt.Sprint("first ", i), message.HeaderDuplicateID, fmt.Sprint(i))
	}
	if got := waiting(t, addr, queueA); len(got) != 5 {
		t.Fatalf("got %q", got)
	}
	after(t, cfg, stop, func(t *testing.T, _ *stompd.Broker, addr string) {
		t.Helper()
		c := dial(t, addr)
		for _, i := range []int{4, 3, 2, 0} { // the oldest is forgotten
			put(t, c, fmt.Sprint("second ", i), message.HeaderDuplicateID, fmt.Sprint(i))
		}
		if got := waiting(t, addr, queueA); len(got) != 1 || got[0] != "second 0" {
			t.Errorf("got %q", got)
		}
	})
}

func TestADurableSubscriptionOutlivesTheBroker(t *testing.T) { //nolint:paralleltest // its parts are not
	cfg := stompd.Config{State: t.TempDir()}
	addr, stop := serve(t, cfg)
	subscriber := func(addr, name string) (*stomp.Conn, *stomp.Subscription) {
		c, err := stomp.Dial(t.Context(), addr, stomp.Config{ClientID: "idds"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c, subscribe(t, c, stomp.SubscribeOptions{
			Destination: "/topic/t", Selector: "color='red'", Headers: []string{"durable-subscription-name", name},
		})
	}
	stays, _ := subscriber(addr, "stays")
	_, goes := subscriber(addr, "goes")
	if err := goes.Unsubscribe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stays.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, dial(t, addr), "/topic/t", "away", "color", "red", "persistent", "true")
	after(t, cfg, stop, func(t *testing.T, _ *stompd.Broker, addr string) {
		t.Helper()
		c := dial(t, addr)
		send(t, c, "/topic/t", "blue", "color", "blue", "persistent", "true")
		send(t, c, "/topic/t", "back", "color", "red", "persistent", "true")
		_, s := subscriber(addr, "stays")
		for _, want := range []string{"away", "back"} {
			if m := next(t, s); string(m.Body) != want {
				t.Errorf("got %s, want %s", m.Body, want)
			}
		}
	})
}

// The log is cut at every byte: everything with a receipt is there, and of a COMMIT all or nothing.
func TestACommitIsAllOrNothingOverAKill(t *testing.T) {
	t.Parallel()
	cfg := stompd.Config{State: t.TempDir()}
	addr, _ := serve(t, cfg)
	c, err := gostomp.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	persistent := gostomp.SendOpt.Header("persistent", "true")
	sendA := func(how func(dest, kind string, body []byte, opts ...func(*frame.Frame) error) error, body string, opts ...func(*frame.Frame) error) {
		if err := how(queueA, "text/plain", []byte(body), append(opts, persistent, gostomp.SendOpt.Header("destination-type", "ANYCAST"))...); err != nil {
			t.Fatal(err)
		}
	}
	sendA(c.Send, "before", gostomp.SendOpt.Receipt)
	from := size(t, cfg.State)
	tx := c.Begin()
	for _, body := range []string{"one", "two", "three"} {
		sendA(tx.Send, body)
	}
	if err := tx.CommitWithReceipt(); err != nil {
		t.Fatal(err)
	}
	to := size(t, cfg.State)
	for cut := from; cut <= to; cut++ {
		dir := killed(t, cfg.State)
		if err := os.Truncate(filepath.Join(dir, firstSegment), cut); err != nil {
			t.Fatal(err)
		}
		want := "before"
		if cut == to {
			want = "before one two three"
		}
		addr, stop := serve(t, stompd.Config{State: dir, Log: seglog.Options{NoSync: true}})
		if got := strings.Join(waiting(t, addr, queueA), " "); got != want {
			t.Fatalf("cut at %d of %d to %d: got %s, want %s", cut, from, to, got, want)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Disconnect(); err != nil {
		t.Error(err)
	}
}

const firstSegment = "000000000001.log"
