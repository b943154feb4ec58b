//go:build integration

package e2e_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tfpilot/harvester"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/testbed"
)

// poolChain is a chain with a namespace of its own, on the broker that joins it, or on the embedded one.
func poolChain(t *testing.T, on func(*testing.T) *production) *testbed.Chain {
	t.Helper()
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	name := "pool-" + uuid.NewString()[:8]
	var c *testbed.Chain
	if on == nil {
		c, err = testbed.NewChain(t.Context(), stack, name)
	} else {
		p := on(t)
		c, err = testbed.JoinChain(stack, name, p.addr)
		must(t, err)
		c.Login, c.Passcode = p.login, p.passcode
	}
	must(t, err)
	// No more pilots than the run asks for, however slow the machine makes them.
	must(t, c.StartIDDS(t.Context(), "--demand-max-run", strconv.Itoa(poolPilots)))
	return c
}

// poolPilots is how many a run asks for.
const poolPilots = 3

// TestIntegrationTheWholeChainRunsWithItsPilotsInABatchSystem takes a run with the pilots of one queue, while those of another one
// wait until it is over.
func TestIntegrationTheWholeChainRunsWithItsPilotsInABatchSystem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pool string
		on   func(*testing.T) *production
		ship bool
	}{
		"Slurm 22.05 with Artemis": {"Slurm 22.05", artemis, false},
		"Slurm 24.11 shipped":      {"Slurm 24.11", nil, true},
		"HTCondor in place":        {"HTCondor", nil, false},
		"HTCondor shipped":         {"HTCondor", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := onPool(t, pools[c.pool])
			chain := poolChain(t, c.on)
			common := table{"idds": chain.IDDS, "namespace": chain.Namespace, "pilot": table{"ship": c.ship}}
			s := namedSite(t, "works", chain.Stack, pool, common)
			waits := namedSite(t, "waits", chain.Stack, pool, common)
			waits.edit(table{"slurm": table{"options": []string{"--begin=now+1hour"}}, "htcondor": table{"requirements": "TARGET.Cpus < 0"}})
			s.run()
			waits.run()
			const pilots, stfs, each = poolPilots, 3, 5
			must(t, chain.StartDAQ(t.Context(), run, "--stf-count", strconv.Itoa(stfs), "--frames", "40", "--slices-per-sample", strconv.Itoa(each),
				"--target-worker-count", strconv.Itoa(pilots)))
			queued := waits.awaits("pilots that wait", func(all []harvester.Worker) bool { return in(all, harvester.Queued) == pilots })
			if got := waits.jobs(); len(got) != len(queued) {
				t.Errorf("%d jobs wait: %v", len(got), got)
			}
			var check document.RunCheck
			s.patiently("the run to be closed", func() bool {
				var err error
				check, err = chain.Client().Check(soon(t), run)
				return err == nil && check.State == document.RunClosed
			}, func() string { return tabled(s.workers()) })
			if !check.OK || check.Slices.Published != stfs*each || check.Slices.Done != stfs*each {
				t.Errorf("%+v", check)
			}
			over := func(all []harvester.Worker) bool { return in(all, harvester.Ended) == len(all) }
			s.accounted(chain, s.awaits("the end of all workers", over), stfs*each)
			s.emptied()
			for _, w := range waits.awaits("the end of those that waited", over) {
				if w.Cancel == nil || w.Cause != exitcode.Cancelled.Name || w.LastWords != nil || !w.RunningAt.IsZero() {
					t.Errorf("a pilot that waited: %+v", w)
				}
			}
			waits.emptied()
			if n := waits.calls("cancel"); n != 1 {
				t.Errorf("%d commands cancelled them", n)
			}
		})
	}
}

// accounted holds what is known of the workers of a run that is over to what happened.
func (s *site) accounted(chain *testbed.Chain, all []harvester.Worker, slicesDone int) {
	t := s.t
	t.Helper()
	reports, err := chain.Client().Workers(soon(t))
	must(t, err)
	done := 0
	for _, w := range all {
		words := w.LastWords
		if words == nil || words.Exit == nil {
			t.Errorf("no last words of %+v", w)
			continue
		}
		done += words.Totals.Done
		if w.Node == "" || w.ExitCode != exitcode.OK.Code || w.Cause != exitcode.OK.Name || words.Exit.Name != exitcode.OK.Name ||
			words.BatchID != w.BatchID || words.WorkerID != w.ID || words.BatchSystem != s.system {
			t.Errorf("worker %+v with last words %+v", w, words)
		}
		if !slices.ContainsFunc(reports, func(r document.Worker) bool {
			return r.WorkerID == w.ID && r.Exit != nil && r.BatchID == w.BatchID
		}) {
			t.Errorf("idds has no last report of %s: %s", w.ID, s.harvester("workers", "show", w.BatchID))
		}
		if out := s.harvester("workers", "show", w.BatchID); !strings.Contains(out, w.ID) {
			t.Errorf("shown by the batch system's name: %s", out)
		}
	}
	if report := s.report(); done < slicesDone || len(report.Trouble) > 0 || report.Strays > 0 {
		t.Errorf("pilots count %d slices; %+v", done, report)
	}
	t.Logf("%d pilots, %d slices, %d looks", len(all), done, s.calls("queue"))
}
