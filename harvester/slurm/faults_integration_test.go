//go:build integration

package slurm_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/testkit"
)

// breakable are pools that tests may break, by the name of their service.
var breakable = map[string]string{}

func TestMain(m *testing.M) {
	var stop []func()
	for name, variable := range variables {
		if os.Getenv(variable) != "" {
			dir, down := testkit.OwnService(name)
			breakable[name], stop = dir, append(stop, down)
		}
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they mostly wait, also on a machine of two cores
		panic(err)
	}
	m.Run() // whose status is that of the process
	for _, down := range stop {
		down()
	}
}

// daemon does something to one of the pool's daemons: a signal, or START.
func daemon(t *testing.T, dir, verb, name string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "control"), os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintln(f, verb, name)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awaitAnswer asks for the queue until the answer is as it should be.
func awaitAnswer(t *testing.T, s *slurm.System, what string, ok func([]harvester.Job, error) bool) {
	t.Helper()
	for over := time.Now().Add(limit); ; {
		jobs, err := s.Queue(t.Context())
		if ok(jobs, err) {
			return
		}
		if time.Now().After(over) {
			t.Fatalf("no %s after %s: %v, %v", what, limit, jobs, err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}

func answers(_ []harvester.Job, err error) bool { return err == nil }

func TestIntegrationFaults(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"slurm", "slurm24"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool(t, name) // or skip
			dir := breakable[name]
			// One after the other: they break what they share.
			for _, fault := range []struct {
				name string
				test func(*testing.T, string)
			}{
				{"a controller that is gone is no empty queue", controllerGone},
				{"a controller that hangs holds up nobody", controllerHangs},
				{"without munge nobody is asked", mungeGone},
				{"a node that is lost is told from others", nodeLost},
				{"pilots wait for drained nodes", nodesDrained},
			} {
				t.Run(fault.name, func(t *testing.T) { fault.test(t, dir) })
			}
		})
	}
}

func controllerGone(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir)
	ids := submit(t, s, script(t, 3, "sleep 1000 & wait"))
	awaitState(t, s, ids, harvester.Running)
	daemon(t, dir, "TERM", "slurmctld") // one that is killed within seconds of a change forgets it, which is Slurm's to mend
	awaitAnswer(t, s, "error", func(jobs []harvester.Job, err error) bool {
		return jobs == nil && exitcode.From(err) == exitcode.NoBatch && strings.Contains(exitcode.Next(err), "scontrol ping")
	})
	if got, err := s.Submit(t.Context(), script(t, 1, "exit 0")); err == nil || len(got) != 0 {
		t.Errorf("a submission: %v, %v", got, err)
	}
	if err := s.Cancel(t.Context(), ids); err == nil {
		t.Error("cancelling succeeds")
	}
	if f := s.Check(t.Context()); len(f) < 2 || f[1].OK || f[1].What != "controller" || f[1].Next == "" {
		t.Errorf("%+v", f)
	}
	daemon(t, dir, "START", "slurmctld")
	awaitAnswer(t, s, "answer", answers)
	awaitState(t, s, ids, harvester.Running)
	if err := s.Cancel(t.Context(), ids); err != nil {
		t.Error(err)
	}
	awaitState(t, s, ids, harvester.Ended)
}

func controllerHangs(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir, func(c *slurm.Config) { c.Timeout = 2 * time.Second })
	patient := open(t, dir)
	sub := script(t, 2, "sleep 1000 & wait")
	daemon(t, dir, "STOP", "slurmctld")
	awaitAnswer(t, s, "error", func(jobs []harvester.Job, err error) bool { return jobs == nil && err != nil })
	ids, err := s.Submit(t.Context(), sub)
	if !errors.Is(err, harvester.ErrUnclear) || ids != nil {
		t.Errorf("%v, %v", ids, err)
	}
	daemon(t, dir, "CONT", "slurmctld")
	// It may have come through all the same: then all of it has, and is found by its tag.
	marker := script(t, 1, "exit 0")
	submit(t, patient, marker)
	awaitAnswer(t, patient, "answer", func(jobs []harvester.Job, err error) bool {
		n := 0
		for _, j := range jobs {
			if j.Tag == sub.Tag {
				n++
				ids = append(ids, j.ID)
			}
		}
		return err == nil && (n == 0 || n == sub.Count) && slices.ContainsFunc(jobs, func(j harvester.Job) bool { return j.Tag == marker.Tag })
	})
	t.Logf("of the submission that was given up, %d jobs came", len(ids))
	if err := patient.Cancel(t.Context(), ids); err != nil {
		t.Error(err)
	}
}

func mungeGone(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir)
	daemon(t, dir, "KILL", "munged")
	awaitAnswer(t, s, "error", func(jobs []harvester.Job, err error) bool {
		return jobs == nil && exitcode.From(err) == exitcode.NoBatch && strings.Contains(exitcode.Next(err), "munge")
	})
	_, err := s.Submit(t.Context(), script(t, 1, "exit 0"))
	if err == nil || errors.Is(err, harvester.ErrUnclear) || !strings.Contains(exitcode.Next(err), "munge") {
		t.Errorf("%v; next: %s", err, exitcode.Next(err))
	}
	daemon(t, dir, "START", "munged")
	awaitAnswer(t, s, "answer", answers)
}

func nodeLost(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir)
	sub := script(t, 1, "sleep 1000 & wait")
	sub.Exclude = []string{"n1", "n3"}
	ids := submit(t, s, sub)
	if st := awaitState(t, s, ids, harvester.Running)[ids[0]]; st.Node != "n2" {
		t.Errorf("excluding n1 and n3 it runs on %s", st.Node)
	}
	daemon(t, dir, "KILL", "n2")
	if st := awaitState(t, s, ids, harvester.Ended)[ids[0]]; st.Cause.Code != exitcode.NodeFailed.Code || st.Node != "n2" || st.ExitCode != -1 {
		t.Errorf("%+v", st)
	}
	daemon(t, dir, "START", "n2")
}

func nodesDrained(t *testing.T, dir string) {
	t.Helper()
	scontrol(t, dir, "update", "NodeName=n[1-4]", "State=DRAIN", "Reason=test")
	s := open(t, dir)
	ids := submit(t, s, script(t, 1, "exit 0"))
	await(t, s, ids, "waiting for a reason", func(st harvester.Status) bool { return st.State == harvester.Queued && st.Reason != "" })
	if f := s.Check(t.Context()); !slices.ContainsFunc(f, func(f harvester.Finding) bool { return !f.OK && strings.Contains(f.Detail, "drained") }) {
		t.Errorf("%+v", f)
	}
	scontrol(t, dir, "update", "NodeName=n[1-4]", "State=RESUME")
	awaitState(t, s, ids, harvester.Ended)
}
