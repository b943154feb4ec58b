package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/daq"
	"tfpilot/daq/detsim"
	"tfpilot/internal/broker"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testbed"
	"tfpilot/payload"
)

// bench is the embedded broker in this process, where its queues can be watched without a client that takes a share of the
// machine, and a folder for a pilot that is a process.
type bench struct {
	*testbed.Stack

	b      *testing.B
	broker *stompd.Broker
	addr   string
}

func newBench(b *testing.B) *bench {
	b.Helper()
	stack, err := testbed.NewStack(b.TempDir(), bin(b))
	must(b, err)
	b.Cleanup(stack.StopAll)
	server, err := stompd.New(stompd.Config{})
	must(b, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a port of this machine
	must(b, err)
	background(b, func(ctx context.Context) error { return server.Serve(ctx, ln) })
	return &bench{Stack: stack, b: b, broker: server, addr: ln.Addr().String()}
}

// publish puts n slices into the queue.
func (e *bench) publish(n int) {
	e.b.Helper()
	link, err := broker.New(broker.Config{Addrs: []string{e.addr}})
	must(e.b, err)
	ctx, cancel := context.WithCancel(e.b.Context())
	var g, l sync.WaitGroup
	l.Go(func() { _ = link.Run(ctx) })
	const publishers = 64
	for p := range publishers {
		g.Go(func() {
			for i := p; i < n; i += publishers {
				body, err := json.Marshal(slice(i))
				if err == nil {
					err = link.Publish(ctx, broker.Out{
						Destination: message.TopicSlices, Body: body, Headers: []string{"persistent", "true", "namespace", namespace, "run_id", run},
					})
				}
				if err != nil {
					e.b.Error(err)
					return
				}
			}
		})
	}
	g.Wait()
	cancel()
	l.Wait()
}

// pilot starts a pilot on the queue.
func (e *bench) pilot(slots int, args ...string) {
	e.b.Helper()
	must(e.b, e.Start(e.b.Context(), "pilot", "pilot", append([]string{
		"run", "--broker-config", brokerFile(e.b, e.Stack, e.addr, "", ""), "--payload", "synthetic", "--slots", strconv.Itoa(slots),
		"--namespace", namespace, "--run", run, "--journal-dir", e.Path("journal"), "--log-level", "warn",
	}, args...)))
}

// queue is the state of one of the broker's queues.
func (e *bench) queue(name string) msgqueue.Stat {
	for _, q := range e.broker.Stats() {
		if q.Name == name {
			return q
		}
	}
	e.b.Fatalf("no queue %s", name)
	return msgqueue.Stat{}
}

func (e *bench) await(every time.Duration, ok func() bool) {
	e.b.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-e.Ended("pilot"):
			e.b.Fatal("the pilot ended")
		}
	}
}

// BenchmarkNoopSlices is slices through the embedded broker and one pilot with 8 slots, a process, with receipts and journal
// on. An operation is a slice, published before: received, journaled, answered, acknowledged. The pilot's start is in it.
func BenchmarkNoopSlices(b *testing.B) {
	e := newBench(b)
	e.publish(b.N)
	b.ResetTimer()
	e.pilot(8)
	e.await(5*time.Millisecond, func() bool { return e.queue(message.QueueSlicesWorkers).Acked == uint64(b.N) })
	b.StopTimer()
	if n := e.queue(message.QueueResultsIDDS).Added; n != uint64(b.N) {
		b.Fatalf("%d results, want %d", n, b.N)
	}
	e.Stop("pilot")
	res, err := e.Result("pilot")
	must(b, err)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "slices/s")
	b.ReportMetric((res.User+res.System).Seconds()*1e3/float64(b.N), "pilot-cpu-ms/slice")
}

// BenchmarkSubscribed is the time from exec of a pilot with one slot until the broker has its subscription, and the memory
// that it then holds.
func BenchmarkSubscribed(b *testing.B) {
	e := newBench(b)
	var rss float64
	for b.Loop() {
		e.pilot(1)
		e.await(200*time.Microsecond, func() bool { return e.queue(message.QueueSlicesWorkers).Consumers == 1 })
		b.StopTimer()
		rss += residentMB(b, e.PID("pilot"))
		e.Stop("pilot")
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
	b.ReportMetric(rss/float64(b.N), "resident-MB")
}

// residentMB is what a process holds in memory now.
func residentMB(tb testing.TB, pid int) float64 {
	tb.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	must(tb, err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			must(tb, err)
			return float64(kb) / 1024
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// BenchmarkBinary reports the size of the pilot's binary, as it ships.
func BenchmarkBinary(b *testing.B) {
	for b.Loop() {
		info, err := os.Stat(filepath.Join(bin(b), "pilot"))
		must(b, err)
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
}

// BenchmarkDemo is the whole default demo.
func BenchmarkDemo(b *testing.B) {
	for b.Loop() {
		report, err := testbed.Demo(b.Context(), testbed.DemoConfig{Out: filepath.Join(b.TempDir(), "demo")}, bin(b), &bytes.Buffer{})
		must(b, err)
		b.ReportMetric(report.Seconds, "s/demo")
		b.ReportMetric(report.LatencyS.SliceResult.P95, "s-slice-to-result-p95")
	}
}

// BenchmarkReconstructSTF is the payload tfreco on a whole STF of 1000 frames, a process on one core.
func BenchmarkReconstructSTF(b *testing.B) {
	g, err := detsim.New(detsim.Config{}, 1)
	must(b, err)
	path := filepath.Join(b.TempDir(), "bench.stf")
	_, err = daq.Write(b.Context(), g, path, 1, 1000, func() {})
	must(b, err)
	spec, err := payloadfile.Load("tfreco")
	must(b, err)
	c, err := payload.NewCommand(spec, filepath.Join(bin(b), "tfpilot-payload"))
	must(b, err)
	s := slice(1, func(c *message.SliceContent) { c.Filename, c.End = path, message.NewInt(999) })
	keepers, err := keeper.New(keeper.Auto, 0)
	must(b, err)
	defer keepers.Close()
	var events int64
	for b.Loop() {
		res, err := c.Run(b.Context(), payload.Request{Slice: s, Input: path, Dir: b.TempDir(), Run: keepers.Run})
		must(b, err)
		events = res.Counts["events"]
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/STF")
	b.ReportMetric(float64(events), "events")
}
