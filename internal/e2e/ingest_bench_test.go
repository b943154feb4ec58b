package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

// resultsPerSecond is what idds has to take in.
const resultsPerSecond = 5000

// BenchmarkIngest is `idds serve` with 5,000 slices and their 5,000 results a second from the embedded broker, which is in this process
// with their producer, and a page that is asked for each second. An operation is a second: -benchtime 60x is a minute. Everything
// shares the machine, so the costs of a result are told apart: of idds, of the database server when it is on this machine, and of broker
// and producer. behind-s is how long after the last message was published the last was taken in.
func BenchmarkIngest(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) { ingest(b, kind) })
	}
}

func ingest(b *testing.B, kind string) {
	b.Helper()
	e := newBench(b)
	open, args, _ := storeOf(b, kind, e.Path("idds"))
	must(b, open().Close()) // made before
	must(b, e.Start(b.Context(), "idds", "idds", append([]string{
		"serve", "--listen", "127.0.0.1:0", "--address-file", e.AddressFile("idds"), "--broker-addr", e.addr, "--namespace", namespace, "--log-level", "warn",
	}, args...)))
	ask := newAsker(b, e.Stack, "idds", args)
	want := b.N * resultsPerSecond
	asked := make(chan struct{})
	var slowest time.Duration
	var page sync.WaitGroup
	page.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-asked:
				return
			}
			began := time.Now()
			ask.get("/")
			slowest = max(slowest, time.Since(began))
		}
	})
	idds, server, own := cpuOf(b, e.PID("idds")), serverCPU(b, kind), cpuOf(b, os.Getpid())
	b.ResetTimer()
	began := time.Now()
	stream(b, e.addr, want)
	published := time.Now()
	for done := 0; done < want; <-time.After(20 * time.Millisecond) {
		var doc document.Run
		must(b, json.Unmarshal(ask.get("/v1/runs/"+run), &doc))
		done = doc.Slices.Done
	}
	took := time.Since(began)
	b.StopTimer()
	perResult := func(after, before time.Duration) float64 { return (after - before).Seconds() * 1e6 / float64(want) }
	b.ReportMetric(float64(want)/took.Seconds(), "results/s")
	b.ReportMetric(time.Since(published).Seconds(), "behind-s")
	b.ReportMetric(perResult(cpuOf(b, e.PID("idds")), idds), "idds-cpu-us/result")
	b.ReportMetric(perResult(serverCPU(b, kind), server), "server-cpu-us/result")
	b.ReportMetric(perResult(cpuOf(b, os.Getpid()), own), "others-cpu-us/result")
	b.ReportMetric(residentMB(b, e.PID("idds")), "resident-MB")
	close(asked)
	page.Wait()
	b.ReportMetric(float64(slowest.Milliseconds()), "slowest-page-ms")
	e.Stop("idds") // before its store goes
}

// stream publishes slices and their results, each as an answer of the broker allows, no faster than they have to be taken in.
func stream(b *testing.B, addr string, n int) {
	b.Helper()
	const publishers = 64
	m := slice(0)
	sliceBody, err := json.Marshal(m)
	must(b, err)
	resultBody, err := json.Marshal(benchResult(m, time.Now()))
	must(b, err)
	old := []byte(m.Content.ReqID)
	link, err := broker.New(broker.Config{Addrs: []string{addr}})
	must(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var publishing, linked sync.WaitGroup
	linked.Go(func() { _ = link.Run(ctx) })
	began := time.Now()
	for p := range publishers {
		publishing.Go(func() {
			for i := p; i < n; i += publishers {
				if wait := time.Until(began.Add(time.Duration(i) * time.Second / resultsPerSecond)); wait > 0 {
					<-time.After(wait)
				}
				name := []byte(uuid.NewString())
				for _, out := range []broker.Out{
					{Destination: message.TopicSlices, Body: bytes.ReplaceAll(sliceBody, old, name)},
					{Destination: message.TopicResults, Body: bytes.ReplaceAll(resultBody, old, name)},
				} {
					out.Headers = []string{"persistent", "true", "namespace", namespace, "run_id", run}
					if err := link.Publish(ctx, out); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	publishing.Wait()
	cancel()
	linked.Wait()
}

// cpuOf is what a process has taken, with its children that have ended.
func cpuOf(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0 // it has ended
	}
	var total time.Duration
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	for _, ticks := range fields[11:15] {
		n, err := strconv.Atoi(ticks)
		must(tb, err)
		total += time.Duration(n) * time.Second / 100
	}
	return total
}

// serverCPU is what the processes of database servers on this machine have taken.
func serverCPU(tb testing.TB, kind string) (total time.Duration) {
	tb.Helper()
	if kind != "postgres" {
		return 0
	}
	all, err := filepath.Glob("/proc/[0-9]*/comm")
	must(tb, err)
	for _, file := range all {
		if name, err := os.ReadFile(file); err == nil && string(name) == "postgres\n" {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			must(tb, err)
			total += cpuOf(tb, pid)
		}
	}
	return total
}
