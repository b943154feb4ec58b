package e2e_test

import (
	"slices"
	"testing"

	"tfpilot/internal/document"
)

// Workers that are kept between runs are the very same processes: the next run waits for no start.
func TestWorkersThatAreKeptBetweenRunsServeTheNextOne(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	must(t, c.StartIDDS(t.Context(), "--demand-warm", "2"))
	must(t, c.StartHarvester(t.Context(), "--pilot-payload", "synthetic"))
	kept := func(of string) (ids []string) { // the living, when all serve that run, or whichever comes
		workers, err := c.Client().Workers(soon(t))
		must(t, err)
		for i := range workers {
			if w := &workers[i]; w.Alive && w.Phase == document.WorkerRunning && w.RunID == of && w.AnyRun {
				ids = append(ids, w.PilotID)
			}
		}
		slices.Sort(ids)
		return ids
	}
	await(t, "two workers before any run", func() bool { return len(kept("")) == 2 })
	first, done := kept(""), 0
	for _, number := range []string{run, "100002", "100003"} {
		must(t, c.StartDAQ(t.Context(), number, "--stf-count", "2", "--frames", "20", "--slices-per-sample", "4", "--target-worker-count", "2", "--time-scale", "0.1"))
		<-c.Ended("daq")
		if res, err := c.Result("daq"); err != nil || res.ExitCode != 0 {
			t.Fatalf("daq ended with %d, %v", res.ExitCode, err)
		}
		await(t, "the end of run "+number, func() bool {
			r, err := c.Client().Run(soon(t), number)
			closed := err == nil && r.State == document.RunClosed
			if closed {
				done += r.Slices.Done
			}
			return closed
		})
		await(t, "workers that wait for the next run", func() bool { return len(kept("")) == 2 })
		if now := kept(""); !slices.Equal(now, first) {
			t.Errorf("%v are kept after run %s, which were %v before the first", now, number, first)
		}
	}
	await(t, "two pilots' reports of all slices", func() bool {
		workers, err := c.Client().Workers(soon(t))
		must(t, err)
		did := 0
		for i := range workers {
			did += workers[i].Totals.Done
		}
		return len(workers) == 2 && did == done && done > 0
	})
}
