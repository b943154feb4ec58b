// Package batchtest is what every batch system of the harvester has to pass.
package batchtest

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tfpilot/harvester"
)

// Run holds a batch system to the contract of [harvester.BatchSystem]. open makes one for a test; limit is how long a job may
// take to come to its end there.
func Run(t *testing.T, limit time.Duration, open func(t *testing.T) harvester.BatchSystem) {
	t.Helper()
	s := suite{limit, open}
	for name, test := range map[string]func(*testing.T){
		"jobs run and end with their exit status":     s.exitStatus,
		"a job that a signal ends says so":            s.signal,
		"a cancelled job ends":                        s.cancel,
		"jobs are found by their tag":                 s.find,
		"an unknown job is not in the answer":         s.unknown,
		"a program that is not there fails, somehow":  s.noProgram,
		"the environment is what was given, and ours": s.environment,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

type suite struct {
	limit time.Duration
	open  func(t *testing.T) harvester.BatchSystem
}

// submit hands in n shell scripts.
func (s suite) submit(t *testing.T, b harvester.BatchSystem, n int, script string, env ...string) (tag string, ids []string) {
	t.Helper()
	tag = harvester.TagPrefix + strings.ToLower(rand.Text()[:8])
	ids, err := b.Submit(t.Context(), harvester.Submission{
		Dir: t.TempDir(), Tag: tag, Count: n, Path: "/bin/sh", Args: []string{"-c", script}, Env: append([]string{"PATH=/usr/bin:/bin"}, env...),
	})
	if err != nil || len(ids) != n {
		t.Fatalf("submitting %d: %v, %v", n, ids, err)
	}
	return tag, ids
}

// look asks once about all jobs.
func look(ctx context.Context, b harvester.BatchSystem) (map[string]harvester.Status, error) {
	jobs, err := b.Queue(ctx)
	got := map[string]harvester.Status{}
	for _, j := range jobs {
		got[j.ID] = j.Status
	}
	return got, err
}

// await polls until all jobs are in a state.
func (s suite) await(t *testing.T, b harvester.BatchSystem, ids []string, want harvester.State) map[string]harvester.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.limit)
	defer cancel()
	tick := time.NewTicker(min(s.limit/100, time.Second))
	defer tick.Stop()
	for {
		got, err := look(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(ids, func(id string) bool { return got[id].State != want }) {
			maps.DeleteFunc(got, func(id string, _ harvester.Status) bool { return !slices.Contains(ids, id) })
			return got
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not all %s after %s: %v", want, s.limit, got)
		}
	}
}

func (s suite) exitStatus(t *testing.T) {
	t.Helper()
	b := s.open(t)
	started := time.Now().Add(-time.Second)
	_, ids := s.submit(t, b, 3, "exit 7")
	for id, st := range s.await(t, b, ids, harvester.Ended) {
		if st.ExitCode != 7 || st.StartedAt.Before(started) || st.EndedAt.Before(st.StartedAt) {
			t.Errorf("%s: %+v", id, st)
		}
	}
}

func (s suite) signal(t *testing.T) {
	t.Helper()
	b := s.open(t)
	_, ids := s.submit(t, b, 1, "kill -9 $$")
	for id, st := range s.await(t, b, ids, harvester.Ended) {
		if st.ExitCode != -1 || st.Reason == "" {
			t.Errorf("%s: %+v", id, st)
		}
	}
}

func (s suite) cancel(t *testing.T) {
	t.Helper()
	b := s.open(t)
	_, ids := s.submit(t, b, 2, "sleep 1000 & wait")
	s.await(t, b, ids, harvester.Running)
	if err := b.Cancel(t.Context(), ids[:1]); err != nil {
		t.Fatal(err)
	}
	s.await(t, b, ids[:1], harvester.Ended)
	got, err := look(t.Context(), b)
	if err != nil || got[ids[1]].State != harvester.Running {
		t.Errorf("the other one: %+v, %v", got[ids[1]], err)
	}
	if err := b.Cancel(t.Context(), append(ids, "no-such-job")); err != nil {
		t.Errorf("cancelling what has ended: %v", err)
	}
	s.await(t, b, ids, harvester.Ended)
}

func (s suite) find(t *testing.T) {
	t.Helper()
	b := s.open(t)
	tag, ids := s.submit(t, b, 3, "exit 0")
	s.submit(t, b, 1, "exit 0")
	jobs, err := b.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 3)
	for _, j := range jobs {
		if j.Tag == tag {
			got[j.Index] = j.ID
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("found %v, want %v", got, ids)
	}
}

func (s suite) unknown(t *testing.T) {
	t.Helper()
	b := s.open(t)
	_, ids := s.submit(t, b, 1, "exit 0")
	s.await(t, b, ids, harvester.Ended)
	got, err := b.History(t.Context(), []string{"no-such-job"})
	if err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func (s suite) noProgram(t *testing.T) {
	t.Helper()
	b := s.open(t)
	ids, err := b.Submit(t.Context(), harvester.Submission{Tag: harvester.TagPrefix + strings.ToLower(rand.Text()[:8]), Count: 1, Path: "/no/such/program"})
	if err != nil {
		return
	}
	for _, st := range s.await(t, b, ids, harvester.Ended) {
		if st.ExitCode == 0 {
			t.Error("it ended well")
		}
	}
}

func (s suite) environment(t *testing.T) {
	t.Helper()
	b := s.open(t)
	_, ids := s.submit(t, b, 1, `[ "$MARK" = yes ] && [ "$TFPILOT_BATCH_SYSTEM" = "`+b.Name()+`" ] && [ -n "$TFPILOT_BATCH_ID" ] && [ -z "$HOME" ]`, "MARK=yes")
	for id, st := range s.await(t, b, ids, harvester.Ended) {
		if st.ExitCode != 0 {
			t.Errorf("%s: %+v", id, st)
		}
	}
}
