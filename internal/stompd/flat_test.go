package stompd_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// onDisk is the size of a broker's log.
func onDisk(tb testing.TB, state string) (bytes int64) {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(state, "*.log"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil { // it may be freed meanwhile
			bytes += info.Size()
		}
	}
	return bytes
}

// pass sends n messages through a queue that never has more than a few, and returns the largest size of the log on the way.
func pass(tb testing.TB, addr, state string, n, size int) (largest int64) {
	tb.Helper()
	connect := func() *stomp.Conn {
		c, err := stomp.Dial(tb.Context(), addr, stomp.Config{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.Close() })
		return c
	}
	consumer, producer := connect(), connect()
	s, err := consumer.Subscribe(tb.Context(), stomp.SubscribeOptions{Destination: queueB, Window: 4 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	acks := make(chan *stomp.Receipt, 64)
	room := make(chan struct{}, 100) // for a message in the queue
	done := make(chan error, 1)
	go func() {
		defer close(acks)
		for range n {
			r, err := consumer.Ack(tb.Context(), <-s.Messages())
			if err != nil {
				done <- err
				return
			}
			acks <- r
		}
	}()
	go func() {
		for r := range acks {
			if err := r.Wait(tb.Context()); err != nil {
				done <- err
				return
			}
			<-room
		}
		done <- nil
	}()
	body := make([]byte, size)
	var sent []*stomp.Receipt
	for i := range n {
		if len(sent) == 64 {
			if err := sent[0].Wait(tb.Context()); err != nil {
				tb.Fatal(err)
			}
			sent = sent[1:]
		}
		room <- struct{}{}
		r, err := producer.Send(tb.Context(), queueB, body, "persistent", "true", message.HeaderDuplicateID, rand.Text())
		if err != nil {
			tb.Fatal(err)
		}
		sent = append(sent, r)
		if i%(n/100+1) == 0 {
			largest = max(largest, onDisk(tb, state))
		}
	}
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
	if err := consumer.Disconnect(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return max(largest, onDisk(tb, state))
}

const queueB = "/queue/b"

func flat(state string) stompd.Config {
	return stompd.Config{State: state, Queues: []string{queueA, queueB}, IDCacheSize: 1000}
}

// A few old messages and duplicate ids must not keep everything that came after them.
func TestTheDiskStaysFlatUnderAnOldMessage(t *testing.T) {
	t.Parallel()
	cfg := flat(t.TempDir())
	addr, stop := serve(t, cfg)
	c := dial(t, addr)
	var old []string
	const segments, rounds = 7, 8 // of 8 MiB, each
	for i := range rounds {
		old = append(old, "old "+strconv.Itoa(i))
		put(t, c, old[i], message.HeaderDuplicateID, old[i])
		if got := pass(t, addr, cfg.State, 250, 32<<10); got > segments*8<<20 {
			t.Errorf("the log has %d MiB", got>>20)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	_, addr = start(t, cfg)
	for _, id := range old {
		put(t, dial(t, addr), "again", message.HeaderDuplicateID, id)
	}
	if diff := cmp.Diff(old, waiting(t, addr, queueA)); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkThroughTheLog prints how large the log was: -benchtime 1000000x.
func BenchmarkThroughTheLog(b *testing.B) {
	cfg := flat(b.TempDir())
	cfg.IDCacheSize = 20000
	addr, _ := serve(b, cfg)
	b.ResetTimer()
	b.ReportMetric(float64(pass(b, addr, cfg.State, b.N, 700))/1e6, "MB-of-log")
}
