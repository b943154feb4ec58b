package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// watchers is how many look at once.
const watchers = 200

// probeRun is a run beside the flood, whose results come one by one: each is waited for on the board.
const probeRun = "200001"

// BenchmarkWatchers is `idds serve` with 5,000 results a second and 200 watchers of /v1/events. An operation is a second. page-s is the
// time from the publication of a result to the board that has it, in the hands of a watcher: median and longest. events/s is of one watcher.
func BenchmarkWatchers(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			e := newBench(b)
			open, args, _ := storeOf(b, kind, e.Path("idds"))
			must(b, open().Close()) // made before
			must(b, e.Start(b.Context(), "idds", "idds", append([]string{
				"serve", "--listen", "127.0.0.1:0", "--address-file", e.AddressFile("idds"), "--broker-addr", e.addr, "--namespace", namespace, "--log-level", "warn",
			}, args...)))
			ask := newAsker(b, e.Stack, "idds", args)
			ctx, leave := context.WithCancel(b.Context())
			var events atomic.Int64
			shown := make(chan int, 1000) // results of the probe
			var looking sync.WaitGroup
			for n := range watchers {
				looking.Go(func() {
					err := ask.follow(ctx, func(ev document.Event) error {
						if ev.Name != document.EventBoard {
							return nil
						}
						events.Add(1)
						var board document.Board
						if n > 0 {
							return nil
						}
						err := json.Unmarshal(ev.Data, &board)
						for i := range board.Runs {
							if board.Runs[i].RunID == probeRun {
								shown <- board.Runs[i].Slices.Done
							}
						}
						return err
					})
					if ctx.Err() == nil {
						b.Errorf("a watcher was cut off: %v", err)
					}
				})
			}
			idds := cpuOf(b, e.PID("idds"))
			b.ResetTimer()
			probing, stop := context.WithCancel(ctx)
			probed := make(chan []time.Duration, 1)
			go func() { probed <- probe(probing, e.addr, shown) }()
			stream(b, e.addr, b.N*resultsPerSecond)
			b.StopTimer()
			stop()
			b.ReportMetric(float64(events.Load())/watchers/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N*resultsPerSecond)/b.Elapsed().Seconds(), "results/s")
			took := <-probed
			if len(took) == 0 {
				b.Fatal("no result of the probe was shown")
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds(), "page-s")
			b.ReportMetric(took[len(took)-1].Seconds(), "slowest-page-s")
			b.ReportMetric((cpuOf(b, e.PID("idds"))-idds).Seconds()/b.Elapsed().Seconds(), "idds-cores")
			b.ReportMetric(residentMB(b, e.PID("idds")), "resident-MB")
			leave()
			looking.Wait()
			e.Stop("idds")
		})
	}
}

// probe publishes a result at a time and waits until it is shown; it returns how long each took.
func probe(ctx context.Context, addr string, shown <-chan int) (took []time.Duration) {
	link, err := broker.New(broker.Config{Addrs: []string{addr}})
	if err != nil {
		return nil
	}
	linked := make(chan struct{})
	lineCtx, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	go func() { defer close(linked); _ = link.Run(lineCtx) }()
	defer func() { hangUp(); <-linked }()
	known, err := json.Marshal(message.RunImminentWorker{
		MsgType: message.TypeRunImminentWorker, RunID: message.Run(probeRun), CreatedAt: message.At(time.Now()), Namespace: namespace,
	})
	if err != nil || link.Publish(ctx, broker.Out{Destination: message.TopicWorkers, Body: known, Headers: []string{"persistent", "true", "namespace", namespace, "run_id", probeRun}}) != nil {
		return nil
	}
	for n := 1; ; n++ {
		m := slice(n)
		m.RunID, m.Content.RunID = message.Run(probeRun), message.Run(probeRun)
		body, err := json.Marshal(benchResult(m, time.Now()))
		if err != nil {
			return nil
		}
		began := time.Now()
		if link.Publish(ctx, broker.Out{Destination: message.TopicResults, Body: body, Headers: []string{"persistent", "true", "namespace", namespace, "run_id", probeRun}}) != nil {
			return took
		}
		for done := 0; done < n; {
			select {
			case done = <-shown:
			case <-ctx.Done():
				return took
			}
		}
		took = append(took, time.Since(began))
	}
}

// follow reads events until ctx ends.
func (a asker) follow(ctx context.Context, each func(document.Event) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/v1/events", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return document.ReadEvents(resp.Body, each)
}
