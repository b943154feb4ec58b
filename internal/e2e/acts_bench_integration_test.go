//go:build integration

package e2e_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/stomp"
	"tfpilot/internal/testbed"
	"tfpilot/payload/kinds"
	"tfpilot/wrapper"
)

// actsKinds are the payload as it stays, and as a process per slice.
var actsKinds = []string{"acts.toml", "acts-oneshot.toml"}

// fromEnv is a number of a benchmark that somebody may want smaller.
func fromEnv(b *testing.B, name string, otherwise int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(b, err)
	return n
}

// BenchmarkACTSSlice is a slice of 66 frames by the real reconstruction, the start of a payload that stays not counted. ratio is how
// much faster that is than one process per slice, one of each in turn, so that both see the same machine.
func BenchmarkACTSSlice(b *testing.B) {
	for _, events := range []string{"3", "45"} {
		b.Run(events+"EventsPerFrame", func(b *testing.B) {
			file := actsFileOf(b, 66, events)
			s := slice(1, func(c *message.SliceContent) { c.Filename, c.End = file, message.NewInt(65) })
			var took [2]time.Duration
			var ways [2]*wrapper.Wrapper
			for i, toml := range actsKinds {
				ways[i] = actsWrapper(b, toml)
			}
			for b.Loop() {
				for i, w := range ways {
					began := time.Now()
					if o := w.Run(b.Context(), s); o.Err != nil {
						b.Fatal(o.Err)
					}
					took[i] += time.Since(began)
				}
			}
			for i, toml := range actsKinds {
				b.ReportMetric(took[i].Seconds()/float64(b.N), "s/"+strings.TrimSuffix(toml, ".toml"))
			}
			b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
		})
	}
}

// actsWrapper makes the payload of a TOML file, ready for a slice.
func actsWrapper(b *testing.B, toml string) *wrapper.Wrapper {
	b.Helper()
	spec, err := payloadfile.Load(filepath.Join(actsFolder(b), toml))
	must(b, err)
	p, err := kinds.New(spec, "")
	must(b, err)
	w, err := wrapper.New(spec, p, p, wrapper.Config{WorkDir: b.TempDir(), LogDir: b.TempDir()})
	must(b, err)
	b.Cleanup(func() { _ = w.Close(context.Background()) })
	_, err = w.Prepare(b.Context(), 0)
	must(b, err)
	return w
}

// BenchmarkACTS is three whole STFs of 1000 frames and 45 events each in 15 slices through the whole chain, with two payloads on two
// cores (ACTS_STFS and ACTS_FRAMES for less). What it reports of a run, all in seconds:
//
//   - stf-complete: from an STF file to all of its results, the slowest;
//   - payload: of all slices together, as results say; makespan: from the first slice's begin to the last result;
//   - bound: what the makespan may be, 1.05 x payload / 2 and the longest slice; of-bound: how much of that it was;
//   - slots-used: the percentage of both slots' time in the makespan that payloads had;
//   - between-ms: what a slot took from one slice's end to the begin of the next, the median: what tfpilot adds to a slice.
func BenchmarkACTS(b *testing.B) {
	stfs, frames := fromEnv(b, "ACTS_STFS", 3), fromEnv(b, "ACTS_FRAMES", 1000)
	events := filepath.Join(b.TempDir(), "events.root")
	if status, _, stderr := actsTool(b, "simulate.py", "", events, "--events", "2000"); status != 0 {
		b.Fatalf("status %d: %s", status, stderr)
	}
	for _, toml := range actsKinds {
		b.Run(strings.TrimSuffix(toml, ".toml"), func(b *testing.B) {
			for b.Loop() {
				dir := filepath.Join(b.TempDir(), "demo")
				seen := watchResults(b, filepath.Join(dir, "broker.address"))
				report, err := testbed.Demo(b.Context(), testbed.DemoConfig{
					Out: dir, STFs: stfs, Frames: frames, Replay: events, Payload: filepath.Join(actsFolder(b), toml), Limit: time.Hour,
				}, bin(b), &bytes.Buffer{})
				must(b, err)
				b.ReportMetric(report.LatencyS.STFComplete.Max, "s-stf-complete")
				seen().report(b)
			}
		})
	}
}

// seenResult is a result with the time at which it came.
type seenResult struct {
	message.SliceResult

	at time.Time
}

type seenResults []seenResult

// watchResults notes the results of a chain whose broker will write its address to a file; what it returns ends that.
func watchResults(b *testing.B, addressFile string) func() seenResults {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var all seenResults
	done := make(chan struct{})
	go func() {
		defer close(done)
		var addr []byte
		for err := os.ErrNotExist; err != nil && ctx.Err() == nil; {
			addr, err = os.ReadFile(addressFile)
			if err != nil || len(addr) == 0 {
				<-time.After(20 * time.Millisecond)
				err = os.ErrNotExist
			}
		}
		link, err := broker.New(broker.Config{Addrs: []string{strings.TrimSpace(string(addr))}})
		if err != nil {
			b.Error(err)
			return
		}
		hungUp := make(chan struct{})
		go func() { defer close(hungUp); _ = link.Run(ctx) }()
		results := link.Subscribe(stomp.SubscribeOptions{Destination: message.TopicResults, Ack: "auto"})
		for {
			d, err := results.Next(ctx)
			if err != nil {
				break
			}
			if m, err := message.Decode[message.SliceResult](d.Body); err == nil {
				all = append(all, seenResult{m, time.Now()})
			}
		}
		<-hungUp
	}()
	return func() seenResults {
		cancel()
		<-done
		return all
	}
}

func (all seenResults) report(b *testing.B) {
	b.Helper()
	if len(all) == 0 {
		b.Fatal("no results were seen")
	}
	var sum, longest float64
	first, last := all[0].Content.ProcessingStartAt.Time(), all[0].at
	ends := map[string]time.Time{} // of the last slice, by pilot
	var between []float64
	slices.SortFunc(all, func(a, b seenResult) int {
		return a.Content.ProcessingStartAt.Time().Compare(b.Content.ProcessingStartAt.Time())
	})
	for _, r := range all {
		c := r.Content
		began, ended := c.ProcessingStartAt.Time(), c.ProcessedAt.Time()
		if c.State != message.StateDone {
			b.Fatalf("%s: %+v", c.ReqID, c.Failure)
		}
		sum, longest = sum+*c.ProcessingTime, max(longest, *c.ProcessingTime)
		if r.at.After(last) {
			last = r.at
		}
		if end, ok := ends[c.PilotID]; ok {
			between = append(between, began.Sub(end).Seconds()*1e3)
		}
		ends[c.PilotID] = ended
	}
	makespan, bound := last.Sub(first).Seconds(), 1.05*sum/2+longest
	b.ReportMetric(sum, "s-payload")
	b.ReportMetric(makespan, "s-makespan")
	b.ReportMetric(bound, "s-bound")
	b.ReportMetric(makespan/bound, "of-bound")
	b.ReportMetric(100*sum/2/makespan, "%-slots-used")
	if slices.Sort(between); len(between) > 0 {
		b.ReportMetric(between[len(between)/2], "between-ms")
	}
}
