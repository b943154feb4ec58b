package e2e_test

import (
	"encoding/json"
	"sync"
	"testing"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
)

// BenchmarkNoopSlices is whole slices through broker and one pilot with 8 slots, as processes, receipts and journal on. An
// operation is a slice: published before, then received, journaled, answered, acknowledged.
func BenchmarkNoopSlices(b *testing.B) {
	c := newChain(b)
	var g sync.WaitGroup
	const publishers = 64
	for p := range publishers {
		g.Go(func() {
			for i := p; i < b.N; i += publishers {
				body, err := json.Marshal(slice(i))
				if err == nil {
					err = c.link.Publish(b.Context(), broker.Out{
						Destination: message.TopicSlices, Body: body, Headers: []string{"persistent", "true", "namespace", namespace, "run_id", run},
					})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	g.Wait()
	results := c.results(b)
	b.ResetTimer()
	must(b, c.Start(b.Context(), "pilot", "pilot", []string{
		"run", "--broker-config", c.brokerFile(b), "--payload", "synthetic", "--slots", "8", "--namespace", namespace,
		"--run", run, "--journal-dir", c.Path("journal"), "--log-level", "warn",
	}))
	var batch []*broker.Delivery
	for range b.N {
		d, err := results.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, d); len(batch) == 100 {
			if err := broker.AckAll(b.Context(), batch...); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	b.StopTimer()
	c.Stop("pilot")
	res, err := c.Result("pilot")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "slices/s")
	b.ReportMetric((res.User+res.System).Seconds()*1e3/float64(b.N), "pilot-cpu-ms/slice")
	c.Stop("broker")
	if res, err = c.Result("broker"); err == nil {
		b.ReportMetric((res.User+res.System).Seconds()*1e3/float64(b.N), "broker-cpu-ms/slice")
	}
}
