package harvester_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/document"
)

// crowd is a batch system with many jobs, of which some end and some start at every look.
type crowd struct {
	harvester.BatchSystem

	jobs  []harvester.Job
	next  int
	churn int
}

func (c *crowd) Name() string { return "crowd" }

func (c *crowd) Submit(_ context.Context, s harvester.Submission) (ids []string, err error) {
	for i := range s.Count {
		j := harvester.Job{ID: fmt.Sprintf("%s_%d", s.Tag, i), Tag: s.Tag, Index: i, Status: harvester.Status{State: harvester.Running, Starts: 1, Node: fmt.Sprint("n", i%100)}}
		c.jobs = append(c.jobs, j)
		ids = append(ids, j.ID)
	}
	return ids, nil
}

func (c *crowd) Queue(context.Context) ([]harvester.Job, error) {
	for range min(c.churn, len(c.jobs)) {
		c.next = (c.next + 1) % len(c.jobs)
		c.jobs[c.next].Status = harvester.Status{State: harvester.Ended, Starts: 1, Node: c.jobs[c.next].Node}
	}
	if n := len(c.jobs) - 2000; n > 0 {
		c.jobs = c.jobs[n:]
		c.next = max(0, c.next-n)
	}
	return c.jobs, nil
}

func (c *crowd) History(context.Context, []string) (map[string]harvester.Status, error) {
	return nil, errors.New("not asked")
}

// BenchmarkLookAtAThousandWorkers is what a look costs with 1,000 tracked workers, of which a hundredth ends and is replaced in
// each, and with the store on disk. The batch system's own commands come on top.
func BenchmarkLookAtAThousandWorkers(b *testing.B) {
	store, err := sqlite.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	batch := &crowd{churn: 10}
	h := harvester.New(harvester.Parts{
		Demand: harvester.Fixed(document.RunDemand{RunID: "1", Wanted: 1000}), Batch: batch, Store: store,
		Pilot: func(string, string) harvester.Submission { return harvester.Submission{} },
	}, harvester.Config{Jobs: b.TempDir(), MaxWorkers: 1000, MaxQueued: 1000, MaxSubmit: 1000})
	for range 3 {
		if err := h.Reconcile(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	before := cpu()
	for b.Loop() {
		if err := h.Reconcile(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	each := (cpu() - before) / time.Duration(b.N)
	b.ReportMetric(each.Seconds()*1e3, "cpu-ms/look")
	b.ReportMetric(100*each.Seconds()/30, "%cpu-at-30s")
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
