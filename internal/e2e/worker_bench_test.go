package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	gostomp "github.com/go-stomp/stomp/v3"
	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/uuid"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
	"tfpilot/internal/testbed"
)

// BenchmarkBesideTheProductionWorker is no-op slices on a real Artemis, on the same broker in turns (-benchtime 1x, -count for
// rounds): through a worker that does what the production one does, in Python with its STOMP client (testdata/peer); through the
// pilot with every safety on; and through compiled workers without any safety, which show what broker and machine give at most.
// Rates are slices per second between the first result and the last; of-python is the ratio to the Python worker of the round.
func BenchmarkBesideTheProductionWorker(b *testing.B) {
	addr := os.Getenv("TFPILOT_TEST_ARTEMIS")
	if addr == "" {
		b.Skip("TFPILOT_TEST_ARTEMIS names no broker")
	}
	var python float64
	for _, worker := range []struct {
		name   string
		slices int
		start  func(*workload)
	}{
		{"Python", 2000, (*workload).python},
		{"1Slot", 4000, func(w *workload) { w.pilot(1) }},
		{"8Slots", 8000, func(w *workload) { w.pilot(8) }},
		{"1Unsafe", 4000, func(w *workload) { w.unsafe(1) }},
		{"8Unsafe", 8000, func(w *workload) { w.unsafe(8) }},
	} {
		b.Run(worker.name, func(b *testing.B) {
			sum := 0.0
			for b.Loop() {
				sum += newWorkload(b, addr).rate(worker.slices, worker.start)
			}
			rate := sum / float64(b.N)
			if worker.name == "Python" {
				python = rate
			}
			b.ReportMetric(rate, "slices/s")
			b.ReportMetric(rate/python, "of-python")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// workload is a namespace of its own on a broker that keeps what it has seen.
type workload struct {
	*testbed.Stack

	b                         *testing.B
	addr, namespace           string
	login, passcode, selector string
	link                      *broker.Link
}

func newWorkload(b *testing.B, addr string) *workload {
	b.Helper()
	stack, err := testbed.NewStack(b.TempDir(), bin(b))
	must(b, err)
	b.Cleanup(stack.StopAll)
	w := &workload{
		Stack: stack, b: b, addr: addr, namespace: "bench-" + uuid.NewString(),
		login: cmp.Or(os.Getenv("TFPILOT_TEST_LOGIN"), "panda"), passcode: cmp.Or(os.Getenv("TFPILOT_TEST_PASSCODE"), "panda"),
	}
	w.selector = "namespace='" + w.namespace + "'"
	w.link, err = broker.New(broker.Config{Addrs: []string{addr}, Login: w.login, Passcode: w.passcode})
	must(b, err)
	background(b, w.link.Run)
	return w
}

// rate is n slices through a worker, in slices per second.
func (w *workload) rate(n int, start func(*workload)) float64 {
	w.b.Helper()
	for _, queue := range []string{message.QueueSlicesIDDS, message.QueueResultsFast, message.QueueResultsWorker} {
		w.drain(queue) // copies that nobody reads would slow down those who come later
	}
	results := w.subscribe(message.QueueResultsIDDS)
	var publishers sync.WaitGroup
	for p := range 32 {
		publishers.Go(func() {
			for i := p; i < n; i += 32 {
				m := slice(i)
				m.Namespace = w.namespace
				body, err := json.Marshal(m)
				if err == nil {
					err = w.link.Publish(w.b.Context(), broker.Out{
						Destination: message.TopicSlices, Body: body,
						Headers: []string{"persistent", "true", "namespace", w.namespace, "run_id", run},
					})
				}
				if err != nil {
					w.b.Error(err)
				}
			}
		})
	}
	publishers.Wait()
	start(w)
	var first time.Time
	for i := range n {
		if _, err := results.Next(soon(w.b)); err != nil {
			w.b.Fatalf("result %d of %d: %v", i, n, err)
		}
		if i == 0 {
			first = time.Now()
		}
	}
	took := time.Since(first)
	w.StopAll()
	return float64(n-1) / took.Seconds()
}

func (w *workload) subscribe(queue string) *broker.Consumer {
	w.b.Helper()
	c := w.link.Subscribe(stomp.SubscribeOptions{Destination: queue, Selector: w.selector, Ack: "auto"})
	w.b.Cleanup(func() { _ = c.Close(context.Background()) })
	<-c.Ready()
	return c
}

func (w *workload) drain(queue string) {
	w.b.Helper()
	c := w.subscribe(queue)
	background(w.b, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if _, err := c.Next(ctx); err != nil {
				return nil //nolint:nilerr // the test is over
			}
		}
		return nil
	})
}

// pilot starts a pilot: a process, with receipts and journal.
func (w *workload) pilot(slots int) {
	w.b.Helper()
	must(w.b, w.Start(w.b.Context(), "pilot", "pilot", []string{
		"run", "--broker-config", brokerFile(w.b, w.Stack, w.addr, w.login, w.passcode), "--payload", "synthetic", "--slots",
		strconv.Itoa(slots), "--namespace", w.namespace, "--run", run, "--journal-dir", w.Path("journal"), "--log-level", "warn",
	}))
}

// python starts a worker as in production: SEND and ACK without receipts, no journal, no duplicate ids.
func (w *workload) python() {
	w.b.Helper()
	conf := w.Path("prompt.conf")
	must(w.b, os.WriteFile(conf, []byte((&production{addr: w.addr, login: w.login, passcode: w.passcode}).conf(w.b)), 0o600))
	startPython(w.b, []string{run, w.namespace, "60"}, "PROMPT_TRANSFORM_CONF="+conf)
}

// unsafe starts n that do the same, compiled and in this process: one connection each to consume on, and one to publish on.
func (w *workload) unsafe(n int) {
	w.b.Helper()
	for range n {
		w.oneUnsafe()
	}
}

func (w *workload) oneUnsafe() {
	w.b.Helper()
	dial := func() *gostomp.Conn {
		conn, err := gostomp.Dial("tcp", w.addr, gostomp.ConnOpt.Login(w.login, w.passcode), gostomp.ConnOpt.HeartBeat(0, 0))
		must(w.b, err)
		w.b.Cleanup(func() { _ = conn.MustDisconnect() })
		return conn
	}
	in, out := dial(), dial()
	slices, err := in.Subscribe(message.QueueSlicesWorkers, gostomp.AckClientIndividual,
		gostomp.SubscribeOpt.Header("activemq.prefetchSize", "1"), gostomp.SubscribeOpt.Header("selector", w.selector+" AND (run_id='"+run+"')"))
	must(w.b, err)
	go func() {
		for m := range slices.C {
			if m.Err != nil {
				return
			}
			var s message.Slice
			if err := json.Unmarshal(m.Body, &s); err != nil {
				w.b.Error(err)
				return
			}
			body, err := json.Marshal(message.SliceResult{
				MsgType: message.TypeSliceResult, RunID: s.RunID, CreatedAt: message.At(time.Now()), Namespace: s.Namespace,
				Content: message.ResultContent{State: message.StateDone, RequestedAt: s.CreatedAt, Result: message.Outcome{State: true}},
			})
			if err == nil {
				err = out.Send(message.TopicResults, "", body, gostomp.SendOpt.NoContentLength, func(f *frame.Frame) error {
					f.Header.Add("persistent", "true")
					f.Header.Add("namespace", s.Namespace)
					f.Header.Add("run_id", run)
					return nil
				})
			}
			if err == nil {
				err = in.Ack(m)
			}
			if err != nil {
				w.b.Error(err)
				return
			}
		}
	}()
}
