package broker_test

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/stompd"
)

// BenchmarkPassage is messages through the embedded broker to one who takes them in batches, as idds does, all in this process:
// published with receipts by many, delivered, and acknowledged. cpu-us is what one takes of all of them.
func BenchmarkPassage(b *testing.B) {
	for name, rate := range map[string]int{"AsFastAsItGoes": 0, "5000PerSecond": 5000} {
		b.Run(name, func(b *testing.B) { passage(b, rate) })
	}
}

func passage(b *testing.B, rate int) {
	b.Helper()
	const publishers = 64
	server, err := stompd.New(stompd.Config{})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	running.Go(func() { _ = server.Serve(ctx, ln) })
	var links [2]*broker.Link
	for i := range links {
		if links[i], err = broker.New(broker.Config{Addrs: []string{ln.Addr().String()}}); err != nil {
			b.Fatal(err)
		}
		running.Go(func() { _ = links[i].Run(ctx) })
	}
	consumer := links[0].Subscribe(stomp.SubscribeOptions{Destination: message.QueueSlicesIDDS, Window: 1 << 20})
	<-consumer.Ready()

	began, cpu := time.Now(), usedCPU(b)
	b.ResetTimer()
	for p := range publishers {
		running.Go(func() {
			for i := p; i < b.N; i += publishers {
				if rate > 0 {
					<-time.After(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				out := broker.Out{Destination: message.TopicSlices, Body: make([]byte, 700), Headers: []string{"persistent", "true", "namespace", "bench", "run_id", "102023"}}
				if err := links[1].Publish(ctx, out); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	var batch []*broker.Delivery
	for n := 1; n <= b.N; n++ {
		d, err := consumer.Next(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, d); len(batch) == 256 || n == b.N {
			if err := broker.AckAll(ctx, batch...); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(usedCPU(b)-cpu)/1e3/float64(b.N), "cpu-us/op")
}

// usedCPU is what this process has taken.
func usedCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
