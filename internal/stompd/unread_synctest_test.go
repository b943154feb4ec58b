package stompd_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
)

// pipes is a listener whose connections have no buffers: what is not read cannot be written.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return nil }

// A client that asks and asks and reads no answer is not served for ever, and what it holds goes back in the end.
func TestAClientThatReadsNothingCostsABoundedMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := stompd.New(stompd.Config{})
		if err != nil {
			t.Fatal(err)
		}
		listener := make(pipes)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- b.Serve(ctx, listener) }()
		theirs, ours := net.Pipe()
		listener <- theirs
		write := func(format string, args ...any) bool {
			_, err := fmt.Fprintf(ours, format+"\n\n\x00", args...)
			return err == nil
		}
		go func() {
			write("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,0")
			if _, err := ours.Read(make([]byte, 4096)); err != nil { // CONNECTED
				t.Error(err)
			}
			write("SUBSCRIBE\nid:1\nack:client-individual\ndestination:%s\nactivemq.prefetchSize:1", message.QueueSlicesWorkers)
			for i := 0; write("SEND\nreceipt:%d\ndestination:%s", i, message.TopicSlices); i++ {
			}
		}()
		synctest.Wait()
		const enough = 40_000
		if q := stat(b); q.Added > enough || q.InFlight != 1 {
			t.Errorf("%d requests of a client that reads nothing, %d in flight", q.Added, q.InFlight)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if q := stat(b); q.InFlight != 0 || q.Consumers != 0 {
			t.Errorf("it still holds %d", q.InFlight)
		}
		if _, err := ours.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // a pipe's own
			t.Errorf("the connection is open: %v", err)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// What came together is answered together, and what it brings to others goes to each in one piece.
func TestAnswersToWhatCameTogetherGoOutTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := stompd.New(stompd.Config{})
		if err != nil {
			t.Fatal(err)
		}
		listener := make(pipes)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- b.Serve(ctx, listener) }()
		connect := func() net.Conn {
			theirs, ours := net.Pipe()
			listener <- theirs
			exchange(t, ours, "CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,0\n\n\x00", frame.CONNECTED, 1)
			return ours
		}
		producer, consumer := connect(), connect()
		const many = 20
		exchange(t, consumer, "SUBSCRIBE\nid:1\nack:client-individual\nreceipt:s\ndestination:"+message.QueueSlicesIDDS+"\nconsumer-window-size:100000\n\n\x00", frame.RECEIPT, 1)
		sends := strings.Repeat("SEND\nreceipt:r\ndestination:"+message.TopicSlices+"\n\nx\x00", many)
		exchange(t, producer, sends, frame.RECEIPT, many)
		exchange(t, consumer, "", frame.MESSAGE, many)
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// exchange says something and expects so many frames of a kind in a single write.
func exchange(t *testing.T, nc net.Conn, say, kind string, want int) {
	t.Helper()
	if _, err := io.WriteString(nc, say); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<20)
	n, err := nc.Read(b)
	if got := strings.Count(string(b[:n]), kind+"\n"); err != nil || got != want {
		t.Errorf("%d of %d %s came in one piece, %v", got, want, kind, err)
	}
}

func TestAQueueThatIsFullOfBytesRefuses(t *testing.T) {
	t.Parallel()
	_, addr := start(t, stompd.Config{QueueBytes: 10_000})
	c := dial(t, addr)
	body := string(make([]byte, 6_000))
	send(t, c, message.TopicSlices, body)
	send(t, c, message.TopicSlices, body)
	if err := began(t, c, body).Wait(t.Context()); err == nil {
		t.Error("it was taken")
	}
}
