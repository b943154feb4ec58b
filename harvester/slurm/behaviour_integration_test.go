//go:build integration

package slurm_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
	"tfpilot/internal/exitcode"
)

// onBoth runs a test on both versions.
func onBoth(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	for _, name := range []string{"slurm", "slurm24"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, pool(t, name))
		})
	}
}

// scontrol does what an administrator would.
func scontrol(t *testing.T, dir string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "scontrol"), args...).CombinedOutput() //nolint:gosec // a test's
	if err != nil {
		t.Fatalf("scontrol %q: %v: %s", args, err, out)
	}
}

// script is a submission of n shell scripts.
func script(t *testing.T, n int, text string, args ...string) harvester.Submission {
	t.Helper()
	return harvester.Submission{
		Tag: harvester.TagPrefix + strings.ToLower(fmt.Sprintf("%x", time.Now().UnixNano())), Count: n, Dir: t.TempDir(),
		Path: "/bin/sh", Args: append([]string{"-c", text, "sh"}, args...), Env: []string{"PATH=/usr/bin:/bin"},
		Resources: harvester.Resources{Cores: 1, MemoryMB: 50, WallTime: time.Hour},
	}
}

// submit hands it in and has it cancelled at the end.
func submit(t *testing.T, s *slurm.System, sub harvester.Submission) []string {
	t.Helper()
	ids, err := s.Submit(t.Context(), sub)
	if err != nil || len(ids) != sub.Count {
		t.Fatalf("%v, %v", ids, err)
	}
	t.Cleanup(func() { _ = s.Cancel(context.WithoutCancel(t.Context()), ids) })
	return ids
}

// await asks until something holds of all jobs. A controller that cannot be asked says nothing.
func await(t *testing.T, s *slurm.System, ids []string, what string, ok func(harvester.Status) bool) map[string]harvester.Status {
	t.Helper()
	return awaitFor(t, s, ids, what, limit, ok)
}

func awaitFor(t *testing.T, s *slurm.System, ids []string, what string, limit time.Duration, ok func(harvester.Status) bool) map[string]harvester.Status {
	t.Helper()
	tick, over := time.NewTicker(300*time.Millisecond), time.After(limit)
	defer tick.Stop()
	var err error
	for {
		var jobs []harvester.Job
		got := map[string]harvester.Status{}
		if jobs, err = s.Queue(t.Context()); err == nil {
			for _, j := range jobs {
				if slices.Contains(ids, j.ID) {
					got[j.ID] = j.Status
				}
			}
			if len(got) < len(ids) {
				past, herr := s.History(t.Context(), slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, known := got[id]; return known }))
				maps.Copy(got, past)
				err = herr
			}
			if !slices.ContainsFunc(ids, func(id string) bool { st, known := got[id]; return !known || !ok(st) }) {
				return got
			}
		}
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not all %s after %s: %v, %+v", what, limit, err, got)
		}
	}
}

// awaitLong is await for what takes minutes by its nature.
func awaitLong(t *testing.T, s *slurm.System, ids []string, ok func(harvester.Status) bool) map[string]harvester.Status {
	t.Helper()
	return awaitFor(t, s, ids, "over", 5*time.Minute, ok)
}

func awaitState(t *testing.T, s *slurm.System, ids []string, want harvester.State) map[string]harvester.Status {
	t.Helper()
	return await(t, s, ids, string(want), func(st harvester.Status) bool { return st.State == want })
}

func awaitFile(t *testing.T, path string) {
	t.Helper()
	for over := time.Now().Add(limit); ; {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(over) {
			t.Fatalf("%s is not there after %s", path, limit)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}

func TestIntegrationTwoHundredPilotsAreOneCommandAndOneLook(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		shims := t.TempDir()
		for _, name := range []string{"sbatch", "squeue", "scancel", "sacct"} {
			text := fmt.Sprintf("#!/bin/sh\necho %s >>%s/calls\nexec %s/bin/%s \"$@\"\n", name, shims, dir, name)
			program(t, filepath.Join(shims, name), text)
		}
		s := open(t, dir, func(c *slurm.Config) { c.Bin, c.Partition = shims, "all" })
		ids := submit(t, s, script(t, 200, "sleep 1000 & wait"))
		awaitState(t, s, ids, harvester.Running)
		calls := func() string { return read(t, shims, "calls") }
		if n := strings.Count(calls(), "sbatch"); n != 1 {
			t.Errorf("sbatch was called %d times", n)
		}
		before := strings.Count(calls(), "\n")
		if _, err := s.Queue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(calls(), "\n") - before; n != 1 {
			t.Errorf("a look takes %d commands", n)
		}
		if err := s.Cancel(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		awaitState(t, s, ids, harvester.Ended)
		if n := strings.Count(calls(), "scancel"); n != 1 {
			t.Errorf("scancel was called %d times", n)
		}
	})
}

func TestIntegrationARequeuedPilotIsStillTheSameJob(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		s := open(t, dir, func(c *slurm.Config) { c.Requeue = true })
		ready := filepath.Join(t.TempDir(), "ready")
		sub := script(t, 1, `echo "start $SLURM_RESTART_COUNT"; echo >"$1$SLURM_RESTART_COUNT"; sleep 1000 & wait`, ready)
		ids := submit(t, s, sub)
		awaitFile(t, ready)
		scontrol(t, dir, "requeue", ids[0])
		if st := awaitState(t, s, ids, harvester.Queued)[ids[0]]; st.Starts != 1 {
			t.Errorf("%+v", st)
		}
		// Not in the second of the requeue: the node would take the new start for the old one, and refuse it.
		scontrol(t, dir, "update", "JobId="+ids[0], "StartTime=now+3")
		if st := awaitState(t, s, ids, harvester.Running)[ids[0]]; st.Starts != 2 {
			t.Errorf("%+v", st)
		}
		awaitFile(t, ready+"1")
		if got := read(t, sub.Dir, sub.Tag+".0", harvester.StdoutFile); got != "start \nstart 1\n" {
			t.Errorf("the pilot's output is %q", got)
		}
	})
}

func TestIntegrationAHeldPilotIsHeldAndSaysWhy(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		s := open(t, dir, func(c *slurm.Config) { c.Options = []string{"--hold"} })
		ids := submit(t, s, script(t, 2, "exit 0"))
		for id, st := range awaitState(t, s, ids, harvester.Held) {
			if st.Reason != "JobHeldUser" {
				t.Errorf("%s: %+v", id, st)
			}
		}
		scontrol(t, dir, "release", strings.Split(ids[0], "_")[0])
		awaitState(t, s, ids, harvester.Ended)
	})
}

// Slurm keeps them as one record without their numbers.
func TestIntegrationPilotsThatAreCancelledTogetherBeforeTheyStartAreKnownToBe(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		s := open(t, dir, func(c *slurm.Config) { c.Options = []string{"--begin=now+1hour"} })
		ids := submit(t, s, script(t, 3, "exit 0"))
		awaitState(t, s, ids, harvester.Queued)
		if err := s.Cancel(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		for id, st := range awaitState(t, s, ids, harvester.Ended) {
			if st.Cause.Code != exitcode.Cancelled.Code || st.Starts != 0 {
				t.Errorf("%s: %+v", id, st)
			}
		}
	})
}

func TestIntegrationAPreemptedPilotSaysSo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		whole := func(partition string) (*slurm.System, harvester.Submission) {
			sub := script(t, 1, "sleep 1000 & wait")
			sub.Cores, sub.MemoryMB = 65, 100 // two do not fit on the one node
			return open(t, dir, func(c *slurm.Config) { c.Partition = partition }), sub
		}
		low, sub := whole("low")
		ids := submit(t, low, sub)
		awaitState(t, low, ids, harvester.Running)
		high, sub := whole("high")
		winner := submit(t, high, sub)
		if st := awaitState(t, low, ids, harvester.Ended)[ids[0]]; st.Cause.Code != exitcode.Preempted.Code {
			t.Errorf("%+v", st)
		}
		awaitState(t, high, winner, harvester.Running)
	})
}

func TestIntegrationAPilotOverItsMemoryIsKilled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		s := open(t, dir)
		ids := submit(t, s, script(t, 1, `x=$(head -c 150m /dev/zero | tr '\0' x); sleep 1000`))
		if st := awaitState(t, s, ids, harvester.Ended)[ids[0]]; st.Signal != 9 || !strings.Contains(st.Reason, "memory") {
			t.Errorf("%+v", st)
		}
	})
}

func TestIntegrationAPilotIsWarnedBeforeItsTimeIsOver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		s := open(t, dir, func(c *slurm.Config) { c.Warning = 7 * time.Minute })
		sub := script(t, 1, `trap 'echo warned; exit 5' USR2; while :; do sleep 0.2; done`)
		sub.WallTime = 10 * time.Minute // the warning comes after two or three
		ids := submit(t, s, sub)
		over := func(st harvester.Status) bool { return st.State == harvester.Ended }
		awaitState(t, s, ids, harvester.Running)
		awaitFile(t, filepath.Join(sub.Dir, sub.Tag+".0", harvester.StdoutFile))
		if st := awaitLong(t, s, ids, over)[ids[0]]; st.ExitCode != 5 || read(t, sub.Dir, sub.Tag+".0", harvester.StdoutFile) != "warned\n" {
			t.Errorf("%+v", st)
		}
	})
}

func TestIntegrationBadInputCostsAClearSentence(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		for name, c := range map[string]struct {
			change     func(*slurm.Config, *harvester.Submission)
			says, next string
		}{
			"a partition that does not exist": {func(c *slurm.Config, _ *harvester.Submission) { c.Partition = "nope" }, "nope", "sinfo"},
			"too long for the partition":      {func(c *slurm.Config, _ *harvester.Submission) { c.Partition = "short" }, "time limit", "wall_time"},
			"too large for any node":          {func(_ *slurm.Config, s *harvester.Submission) { s.Cores = 1000 }, "processors", "[resources]"},
			"too many at once":                {func(_ *slurm.Config, s *harvester.Submission) { s.Count = 1002 }, "array", "max_submit"},
			"an option that is none":          {func(c *slurm.Config, _ *harvester.Submission) { c.Options = []string{"--nope"} }, "--nope", "options"},
			"a reservation that is none":      {func(c *slurm.Config, _ *harvester.Submission) { c.Reservation = "nope" }, "eservation", "reservation"},
			"a feature that no node has":      {func(c *slurm.Config, _ *harvester.Submission) { c.Constraint = "nope" }, "feature", "[resources]"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				sub := script(t, 1, "exit 0")
				var cfg slurm.Config
				c.change(&cfg, &sub)
				s := open(t, dir, func(o *slurm.Config) {
					o.Partition, o.Options, o.Reservation, o.Constraint = cfg.Partition, cfg.Options, cfg.Reservation, cfg.Constraint
				})
				ids, err := s.Submit(t.Context(), sub)
				if exitcode.From(err) != exitcode.BatchRefused || ids != nil {
					t.Fatalf("%v, %v", ids, err)
				}
				if text, next := err.Error(), exitcode.Next(err); !strings.Contains(text, c.says) || !strings.Contains(next, c.next) {
					t.Errorf("%s; next: %s", text, next)
				}
			})
		}
	})
}

func TestIntegrationAnAccountOrQOSThatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	dir := pool(t, "slurm") // the one that keeps accounts
	for name, change := range map[string]func(*slurm.Config){
		"account": func(c *slurm.Config) { c.Account = "nope" }, "qos": func(c *slurm.Config) { c.QOS = "nope" },
	} {
		s := open(t, dir, change)
		_, err := s.Submit(t.Context(), script(t, 1, "exit 0"))
		if exitcode.From(err) != exitcode.BatchRefused || !strings.Contains(err.Error(), name) || !strings.Contains(exitcode.Next(err), "sacctmgr") {
			t.Errorf("%s: %v; next: %s", name, err, exitcode.Next(err))
		}
		findings := s.Check(t.Context())
		if last := findings[len(findings)-2]; last.OK || !strings.Contains(last.Next, "sacctmgr") {
			t.Errorf("%s: %+v", name, findings)
		}
	}
}

func TestIntegrationANodeThatCannotOpenTheOutputSaysSo(t *testing.T) {
	t.Parallel()
	dir := pool(t, "slurm") // the newer one makes the folder
	s := open(t, dir, func(c *slurm.Config) { c.Options = []string{"--hold"} })
	sub := script(t, 1, "exit 0")
	ids := submit(t, s, sub)
	if err := os.RemoveAll(filepath.Join(sub.Dir, sub.Tag+".0")); err != nil {
		t.Fatal(err)
	}
	scontrol(t, dir, "release", ids[0])
	if st := awaitState(t, s, ids, harvester.Ended)[ids[0]]; st.Cause.Code != exitcode.LaunchFailed.Code || !strings.Contains(st.Reason, "output file") {
		t.Errorf("%+v", st)
	}
}

func TestIntegrationACheckSaysWhatIsWrongWithAPartition(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, dir string) {
		t.Helper()
		for want, change := range map[string]func(*slurm.Config){
			"it takes no jobs now, it is down":                func(c *slurm.Config) { c.Partition = "closed" },
			"there is no such partition":                      func(c *slurm.Config) { c.Partition = "nope" },
			"its time limit is 5m0s, a pilot asks for 4h0m0s": func(c *slurm.Config) { c.Partition, c.Resources.WallTime = "short", 4*time.Hour },
			"no node has 1000 cores and 50 MB":                func(c *slurm.Config) { c.Resources.Cores = 1000 },
		} {
			findings := open(t, dir, change).Check(t.Context())
			if !slices.ContainsFunc(findings, func(f harvester.Finding) bool { return !f.OK && f.Detail == want && f.Next != "" }) {
				t.Errorf("nobody says that %s: %+v", want, findings)
			}
		}
	})
}
