//go:build integration

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testbed"
)

// field is a site without idds, whose pilots work for a broker in this process.
type field struct {
	*site
	*production

	broker *stompd.Broker
}

// newField keeps count pilots once it runs.
func newField(t *testing.T, pool *pool, count int, edit table) *field {
	t.Helper()
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	_, _, err = stack.Secret("pilot.token")
	must(t, err)
	b, addr := startBroker(t)
	p := newProduction(t, addr, "", "")
	file := table{
		"idds": "", "count": count, "run": run, "namespace": p.namespace, "pilot": table{"broker_config": p.brokerFile(t, stack.Path(), addr)},
	}
	lay(file, edit)
	return &field{site: newSite(t, stack, pool, file), production: p, broker: b}
}

// payload is a shell script with the site's mark in its environment.
func (f *field) payload(script string) {
	f.t.Helper()
	path := f.Path("payload.toml")
	must(f.t, os.WriteFile(path, fmt.Appendf(nil, "name = \"script\"\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", %q]\n[env]\nTEST_MARK = %q\n", script, f.mark), 0o600))
	f.edit(table{"pilot": table{"payload": path}})
}

func (f *field) slices(n int) {
	f.t.Helper()
	for i := range n {
		f.publishSlice(f.t, f.slice(i, run))
	}
}

func (f *field) inFlight() int { return queueOf(f.broker, message.QueueSlicesWorkers).InFlight }

// TestIntegrationTwoHundredPilotsWithASubmitterThatIsKilled kills it while a submission is on its way to the batch system, and
// again while the answer is on its way back.
func TestIntegrationTwoHundredPilotsWithASubmitterThatIsKilled(t *testing.T) {
	t.Parallel()
	onPools(t, func(t *testing.T, pool *pool) {
		t.Helper()
		const pilots, each, starts = 200, 40, 3
		f := newField(t, pool, pilots, table{
			"max_workers": pilots, "max_queued": pilots, "max_submit": each, "interval": "3s", "lost_after": "10s", "slurm": table{"partition": "all"},
		})
		lost, taken := f.Path("lost"), f.Path("taken")
		f.shim(f.command("submit"), fmt.Sprintf("case $calls in\n2) touch %s; sleep 1000; exit 1 ;;\n4) \"$real\" \"$@\" >/dev/null; touch %s; sleep 1000; exit 1 ;;\n*) exec \"$real\" \"$@\" ;;\nesac", lost, taken))
		began := time.Now()
		f.run()
		for _, moment := range []string{lost, taken} {
			f.patiently(filepath.Base(moment), func() bool { _, err := os.Stat(moment); return err == nil }, func() string { return tabled(f.workers()) })
			f.kill()
			f.run()
		}
		all := f.awaits("all pilots to run", func(all []harvester.Worker) bool {
			return in(all, harvester.Running) == pilots && in(all, harvester.Intended, harvester.Queued) == 0
		})
		var booked []string
		for _, w := range all {
			if w.State == harvester.Running {
				booked = append(booked, w.BatchID)
			}
		}
		there := f.jobs()
		slices.Sort(booked)
		slices.Sort(there)
		if !slices.Equal(booked, there) || len(slices.Compact(booked)) != pilots {
			t.Errorf("booked are %d, there are %d jobs:\n%v\n%v", len(booked), len(there), booked, there)
		}
		submits, looks := f.calls("submit"), f.calls("queue")
		took := time.Since(began)
		if r := f.report(); r.Strays != 0 || submits != pilots/each+1 || looks > int(took/(3*time.Second))+starts || f.calls("cancel") != 0 {
			t.Errorf("%d submissions and %d looks in %s, %+v", submits, looks, took, r)
		}
		t.Logf("%d pilots in %.0f s and %d starts of the submitter: %d submissions of %d, of which one was lost; %d looks, %d questions about the past",
			pilots, took.Seconds(), starts, submits, each, looks, f.calls("history"))
		f.Stop(f.name)
		f.harvester("reap", "--yes")
		if n := f.calls("cancel"); n != 1 {
			t.Errorf("%d commands cancel them", n)
		}
		f.emptied()
	}, "Slurm 22.05", "HTCondor")
}

// TestIntegrationAPilotThatIsRemovedByHandLeavesNothingAndIsReplaced removes it in the middle of a slice whose payload does not want
// to end and has left a daemon.
func TestIntegrationAPilotThatIsRemovedByHandLeavesNothingAndIsReplaced(t *testing.T) {
	t.Parallel()
	onPools(t, func(t *testing.T, pool *pool) {
		t.Helper()
		f := newField(t, pool, 1, table{"max_backoff": "5s"})
		f.payload("trap '' TERM; setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & while :; do sleep 1; done' & touch " + f.Path("begun") + "; while :; do sleep 0.1; done")
		f.slices(2)
		f.run()
		f.patiently("the payload", f.begun, func() string { return tabled(f.workers()) })
		first := f.awaits("the pilot", func(all []harvester.Worker) bool { return in(all, harvester.Running) == 1 })[0]
		must(t, os.Remove(f.Path("begun")))
		before := marked(t, f.mark)
		pool.command(t, pool.remove, first.BatchID)
		told := time.Now()
		await(t, "the slice to be back", func() bool { return f.inFlight() == 0 || f.begun() })
		back := time.Since(told)
		await(t, "the end of all processes", func() bool {
			return !slices.ContainsFunc(marked(t, f.mark), func(p string) bool { return slices.Contains(before, p) })
		})
		t.Logf("%s: the slice was back after %.1f s, %d processes were gone after %.1f s", pool.remove, back.Seconds(), len(before), time.Since(told).Seconds())
		all := f.awaits("another pilot", func(all []harvester.Worker) bool {
			return in(all, harvester.Ended) == 1 && in(all, harvester.Running) == 1
		})
		f.patiently("the slice to be worked on again", f.begun, func() string { return tabled(all) })
		for _, w := range all {
			// Its last words are the last that it does: on a busy machine SIGKILL may come before them.
			said := w.LastWords == nil || w.LastWords.Totals.Released == 1
			if w.ID == first.ID && (w.Cause != exitcode.Cancelled.Name || !said || w.Node == "") {
				t.Errorf("the one that was removed: %+v", w)
			}
		}
		if dead := queueOf(f.broker, message.QueueSlicesWorkers).Dead; dead != 0 {
			t.Errorf("%d dead letters", dead)
		}
	})
}

// begun says that the payload has, since somebody looked away.
func (f *field) begun() bool {
	_, err := os.Stat(f.Path("begun"))
	return err == nil
}

// TestIntegrationTheBatchSystemKillsNoSliceAtTheEndOfTheTime: the pilot has left before, in a slot of a minute.
func TestIntegrationTheBatchSystemKillsNoSliceAtTheEndOfTheTime(t *testing.T) {
	t.Parallel()
	onPools(t, func(t *testing.T, pool *pool) {
		t.Helper()
		slurm := pool.remove == "scancel"
		limit := []string{"-p", "main", "-t", "1"}
		if !slurm {
			limit = []string{"allowed_execute_duration = 60"}
		}
		s := inSlot(t, pool, limit...)
		how := func() string {
			if slurm {
				return pool.command(t, "squeue", "-h", "-t", "all", "-j", s.job, "-o", "%T")
			}
			return pool.command(t, "condor_history", s.job, "-limit", "1", "-af", "JobStatus")
		}
		await(t, "the pilot's work", func() bool { return s.queue(message.QueueSlicesWorkers).Acked > 10 })
		ended := map[bool][]string{true: {"FAILED"}, false: {"4"}}[slurm] // with the pilot's own status
		var got string
		(&site{t: t}).patiently("its end", func() bool { got = how(); return got != "" && got != "RUNNING" && got != "COMPLETING" }, func() string { return got })
		if !slices.Contains(ended, got) {
			t.Errorf("it ended as %s", got)
		}
		w := s.lastWords()
		if w.Exit.Name != exitcode.Walltime.Name {
			t.Errorf("%+v", w.Exit)
		}
		t.Logf("%s: left %.0f s after its start in a slot of 60 s; %d slices done, %d given back, none killed", got, w.Exit.WallSeconds, w.Totals.Done, w.Totals.Released)
	})
}

// TestIntegrationSlotsAreUsed takes the slices of a steady run from a pilot with two slots.
func TestIntegrationSlotsAreUsed(t *testing.T) {
	t.Parallel()
	onPools(t, func(t *testing.T, pool *pool) {
		t.Helper()
		const slots, n = 2, 60
		f := newField(t, pool, 1, table{"resources": table{"cores": slots}, "pilot": table{"slots": "2"}})
		path := f.Path("burn.toml")
		must(t, os.WriteFile(path, []byte("name = \"burn\"\nkind = \"synthetic\"\n[synthetic]\nmode = \"burn\"\nduration = \"1s\"\n"), 0o600))
		f.edit(table{"pilot": table{"payload": path}})
		results := f.consume(t, message.QueueResultsFast)
		f.slices(n)
		f.run()
		var busy float64
		var first, last time.Time
		for i := range n {
			m := f.result(results)
			if m.Content.State != message.StateDone {
				t.Fatalf("%+v", m)
			}
			last = time.Now()
			if i < slots {
				first = last
				continue
			}
			if m.Content.ProcessingTime != nil {
				busy += *m.Content.ProcessingTime
			}
		}
		use := busy / (slots * last.Sub(first).Seconds())
		t.Logf("%d slices of %.2f s in %d slots: %.1f %% used", n, busy/(n-slots), slots, 100*use)
		if use < 0.8 { // 95 % are promised and measured (docs/benchmarks.md); here other tests are at work
			t.Errorf("only %.1f %% of the slots' time was used", 100*use)
		}
	}, "Slurm 22.05", "HTCondor")
}

// result waits for the next one, as long as a batch system may take to start a pilot.
func (f *field) result(from *broker.Consumer) (m message.SliceResult) {
	f.t.Helper()
	f.patiently("a result", func() bool {
		d, err := from.Next(soon(f.t))
		if err != nil {
			return false
		}
		must(f.t, d.Ack(soon(f.t)))
		m, err = message.Decode[message.SliceResult](d.Body)
		must(f.t, err)
		return true
	}, func() string { return tabled(f.workers()) })
	return m
}

// depth is how many slices wait or are worked on.
func (f *field) depth() int {
	q := queueOf(f.broker, message.QueueSlicesWorkers)
	return q.Depth + q.InFlight
}
