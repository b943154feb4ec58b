package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tfpilot/internal/message"
)

// BenchmarkResidentNoopSlices is slices of a payload that stays and does nothing through the embedded broker and one pilot, with
// receipts and journal on, as BenchmarkNoopSlices is of a payload that is no process at all. With one slot that holds nothing
// ahead it is what one slice costs beside its payload, from its arrival to the next one's: all of what slot, payload and broker
// add to a slice.
func BenchmarkResidentNoopSlices(b *testing.B) {
	for name, args := range map[string][]string{"8Slots": {"8"}, "1SlotNothingAhead": {"1", "--ahead", "0"}} {
		b.Run(name, func(b *testing.B) {
			e := newBench(b)
			spec := e.Path("resident.toml")
			text := fmt.Sprintf("name = \"noop\"\nversion = \"1\"\nkind = \"resident\"\ncommand = [%q, \"synthetic\", \"--serve\"]\n", filepath.Join(bin(b), "tfpilot-payload"))
			must(b, os.WriteFile(spec, []byte(text), 0o600))
			slots, err := strconv.Atoi(args[0])
			must(b, err)
			e.publish(b.N)
			e.pilot(slots, append(args[1:], "--payload", spec, "--work-dir", e.Path("work"))...)
			done := func() uint64 { return e.queue(message.QueueSlicesWorkers).Acked }
			e.await(time.Millisecond, func() bool { return done() > 0 }) // its start is not counted
			before := done()
			b.ResetTimer()
			e.await(time.Millisecond, func() bool { return done() == uint64(b.N) })
			b.StopTimer()
			if n := e.queue(message.QueueResultsIDDS).Added; n != uint64(b.N) {
				b.Fatalf("%d results, want %d", n, b.N)
			}
			e.Stop("pilot")
			res, err := e.Result("pilot")
			must(b, err)
			n := float64(uint64(b.N) - before)
			b.ReportMetric(n/b.Elapsed().Seconds(), "slices/s")
			b.ReportMetric(b.Elapsed().Seconds()*1e3/n, "ms/slice")
			b.ReportMetric((res.User+res.System).Seconds()*1e3/float64(b.N), "pilot-cpu-ms/slice")
		})
	}
}
