//go:build integration

package e2e_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// TestIntegrationACommandThatHangsOrFailsHoldsUpNobodyAndCostsNoPilot: for longer than a job may be missing from the listings.
func TestIntegrationACommandThatHangsOrFailsHoldsUpNobodyAndCostsNoPilot(t *testing.T) {
	t.Parallel()
	onPools(t, func(t *testing.T, pool *pool) {
		t.Helper()
		own := table{"timeout": "2s"}
		f := newField(t, pool, 2, table{
			"interval": "1s", "lost_after": "2s", "guard": table{"min_interval": "500ms", "pause": "500ms", "max_pause": "1s"}, "slurm": own, "htcondor": own,
		})
		f.run()
		alive := func(all []harvester.Worker) bool { return in(all, harvester.Running) == 2 }
		f.awaits("two pilots", alive)
		queue, history := f.command("queue"), f.command("history")
		for name, script := range map[string]string{"hangs": "exec sleep 1000", "fails": "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"} {
			before := f.report()
			f.shim(queue, script)
			f.shim(history, script)
			f.patiently("trouble with "+queue+", which "+name, func() bool {
				r := f.report()
				return len(r.Trouble) > 0 && r.Trouble[0].Whom == f.system && r.At.Sub(before.At) > 8*time.Second
			}, func() string { return f.harvester("status") })
			if said := f.harvester("explain"); !strings.Contains(said, queue) {
				t.Errorf("it %s, and explain says: %s", name, said)
			}
			f.shim(queue, `exec "$real" "$@"`)
			f.shim(history, `exec "$real" "$@"`)
			f.patiently("the end of the trouble", func() bool { return len(f.report().Trouble) == 0 }, func() string { return f.harvester("status") })
		}
		all := f.awaits("the same two pilots", alive)
		if len(all) != 2 || f.calls("submit") != 1 || f.calls("cancel") != 0 {
			t.Errorf("%d submissions, %d commands to cancel: %s", f.calls("submit"), f.calls("cancel"), tabled(all))
		}
	}, "Slurm 22.05", "HTCondor")
}

// TestIntegrationPilotsThatDieAtTheirStartAreFewAndSayWhy: what their site got wrong is an option that there is none of.
func TestIntegrationPilotsThatDieAtTheirStartAreFewAndSayWhy(t *testing.T) {
	t.Parallel()
	onPools(t, func(t *testing.T, pool *pool) {
		t.Helper()
		f := newField(t, pool, 5, table{"interval": "500ms", "guard": table{"min_interval": "100ms"}, "pilot": table{"args": []string{"--no-such-option"}}})
		f.run()
		began := time.Now()
		var report harvester.Report
		f.patiently("a pause after failures", func() bool {
			report = f.report()
			return report.Pause.Failures >= 4 && report.Pause.Until.After(time.Now())
		}, func() string { return f.harvester("status") })
		submits := f.calls("submit")
		if submits > report.Pause.Failures+1 {
			t.Errorf("%d submissions for %d failures", submits, report.Pause.Failures)
		}
		for _, w := range f.workers() {
			if w.State != harvester.Ended {
				continue
			}
			if w.Cause != exitcode.Usage.Name || w.ExitCode != exitcode.Usage.Code || w.Node == "" {
				t.Errorf("%+v", w)
			}
			if shown := f.harvester("workers", "show", w.ID); !strings.Contains(shown, "no-such-option") {
				t.Errorf("nobody sees why: %s", shown)
			}
			break
		}
		if said := f.harvester("explain"); !strings.Contains(said, "pause") {
			t.Errorf("explain says: %s", said)
		}
		t.Logf("%d pilots died in %.0f s, in %d submissions; the pause goes on for %s", in(f.workers(), harvester.Ended), time.Since(began).Seconds(), submits,
			time.Until(report.Pause.Until).Round(time.Second))
	}, "Slurm 24.11", "HTCondor")
}

// TestIntegrationABadNodeIsKeptAwayFromAndTheOthersDoTheWork: a test of the site's own fails there. Of three pilots two fit on a node,
// so that one is known on which pilots do work.
func TestIntegrationABadNodeIsKeptAwayFromAndTheOthersDoTheWork(t *testing.T) {
	t.Parallel()
	pool := onPool(t, "TFPILOT_TEST_SLURM")
	f := newField(t, pool, 3, table{
		"exclude_after": 2, "interval": "500ms", "max_backoff": "2s", "guard": table{"min_interval": "100ms"}, "resources": table{"memory_mb": 26000},
	})
	test := f.Path("licence")
	must(t, os.WriteFile(test, []byte("#!/bin/sh\n[ \"$("+pool.dir+"/bin/squeue -h -j \"$SLURM_JOB_ID\" -o %N)\" = n1 ] || exit 0\n"+
		"echo '{\"found\":\"no licence here\",\"next\":\"ask for one\"}'\nexit 1\n"), 0o700)) //nolint:gosec // a program
	f.edit(table{"pilot": table{"payload": "synthetic", "args": append(slices.Clone(f.args()), "--node-test="+test, "--node-hold=0")}})
	f.slices(20)
	f.run()
	all := f.awaits("three pilots that stay", func(all []harvester.Worker) bool {
		return len(f.report().Excluded) > 0 && len(all) > 3 && in(all, harvester.Running) == 3
	})
	f.patiently("the slices to be done", func() bool { return f.depth() == 0 }, func() string { return tabled(f.workers()) })
	for _, w := range all {
		if w.State == harvester.Running && w.Node == "n1" || w.State == harvester.Ended && (w.Node != "n1" || w.Cause != exitcode.NodeUnfit.Name || !strings.Contains(w.Reason, "no licence here")) {
			t.Errorf("%+v", w)
		}
	}
	t.Logf("%d pilots failed on the bad node, then it was kept away from: %+v", in(all, harvester.Ended), f.report().Excluded)
}
