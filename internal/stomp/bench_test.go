package stomp_test

import (
	"context"
	"net"
	"strconv"
	"testing"

	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// embedded runs a broker with a queue for the time of a test and returns its address.
func embedded(tb testing.TB, cfg stompd.Config) string {
	tb.Helper()
	b, err := stompd.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Serve(ctx, ln) }()
	tb.Cleanup(func() { cancel(); <-ended })
	return ln.Addr().String()
}

func dial(tb testing.TB, addr string) *stomp.Conn {
	tb.Helper()
	c, err := stomp.Dial(soon(tb), addr, stomp.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// aSlice is about what a slice message is.
var aSlice = make([]byte, 700)

// The number of SENDs that wait for their receipts makes the rate: on a disk they share a sync.
func BenchmarkSendWithReceipt(b *testing.B) {
	for _, where := range []string{"memory", "disk"} {
		for _, window := range []int{1, 8, 64} {
			b.Run(where+"/window="+strconv.Itoa(window), func(b *testing.B) {
				cfg := stompd.Config{Queues: []string{"/queue/bench"}}
				if where == "disk" {
					cfg.State = b.TempDir()
				}
				c := dial(b, embedded(b, cfg))
				b.ReportAllocs()
				var pending []*stomp.Receipt
				for b.Loop() {
					if len(pending) == window {
						if err := pending[0].Wait(b.Context()); err != nil {
							b.Fatal(err)
						}
						pending = pending[1:]
					}
					r, err := c.Send(b.Context(), "/queue/bench", aSlice, "persistent", "true", "run_id", "102023")
					if err != nil {
						b.Fatal(err)
					}
					pending = append(pending, r)
				}
				for _, r := range pending {
					if err := r.Wait(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReceiveAndAck(b *testing.B) {
	for _, slots := range []int{1, 8} {
		b.Run("slots="+strconv.Itoa(slots), func(b *testing.B) {
			addr := embedded(b, stompd.Config{Queues: []string{"/queue/bench"}})
			c, producer := dial(b, addr), dial(b, addr)
			var last *stomp.Receipt
			for range b.N {
				r, err := producer.Send(b.Context(), "/queue/bench", aSlice, "run_id", "102023")
				if err != nil {
					b.Fatal(err)
				}
				last = r
			}
			if err := last.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
			work := make(chan struct{}, b.N)
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			done := make(chan error, slots)
			b.ReportAllocs()
			b.ResetTimer()
			for range slots {
				s, err := c.Subscribe(b.Context(), stomp.SubscribeOptions{Destination: "/queue/bench", Window: 1})
				if err != nil {
					b.Fatal(err)
				}
				go func() {
					for range work {
						r, err := c.Ack(b.Context(), <-s.Messages())
						if err == nil {
							err = r.Wait(b.Context())
						}
						if err != nil {
							done <- err
							return
						}
					}
					done <- s.Unsubscribe(b.Context()) // another may wait for the message that this one holds
				}()
			}
			for range slots {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		})
	}
}
