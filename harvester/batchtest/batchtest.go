// Package batchtest is what every batch system of the harvester has to pass.
package batchtest

import (
	"context"
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/harvester"
)

// Traits are what batch systems may differ in.
type Traits struct {
	// Limit is how long a job may take from its submission to its end.
	Limit time.Duration
	// WallTime is the shortest time after which it ends a job; zero: it ends none for its time.
	WallTime time.Duration
	// NoHistory: it knows nothing of a job but what Queue says.
	NoHistory bool
	// LosesKilledOutput: what a job printed comes back only when the job ends by itself.
	LosesKilledOutput bool
}

// Run holds a batch system to the contract of [harvester.BatchSystem]. open makes one for a test, which is to be the only one
// who submits to it, or at least the only one with its tags.
func Run(t *testing.T, traits Traits, open func(t *testing.T) harvester.BatchSystem) {
	t.Helper()
	leak()
	s := suite{traits, open}
	for name, test := range map[string]func(*testing.T){
		"jobs run and end with their exit status":     s.exitStatus,
		"a job that a signal ends says so":            s.signal,
		"a cancelled job gets a signal and time":      s.cancel,
		"cancelling one leaves the others":            s.cancelOne,
		"a job ends with its wall time":               s.wallTime,
		"many come in one submission":                 s.many,
		"jobs are found by their tag":                 s.find,
		"how a job ended is remembered":               s.history,
		"an unknown job is not in the answer":         s.unknown,
		"a program that is not there fails, somehow":  s.noProgram,
		"the environment is what was given, and ours": s.environment,
		"arguments arrive as they are":                s.arguments,
		"what a job prints is in its folder":          s.output,
		"what a cancelled job printed is there":       s.cancelledOutput,
		"a running job tells since when and where":    s.running,
		"a check finds nothing":                       s.check,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// secret is in the environment of whoever submits, and has no business in a job.
const secret = "TFPILOT_BATCHTEST_SECRET"

var leak = sync.OnceFunc(func() {
	_ = os.Setenv(secret, "hunter2") // t.Setenv is not for parallel tests
})

type suite struct {
	Traits
	open func(t *testing.T) harvester.BatchSystem
}

// submission is of n shell scripts, which get args as $1 and on.
func submission(t *testing.T, n int, script string, args ...string) harvester.Submission {
	t.Helper()
	return harvester.Submission{
		Tag: newTag(), Count: n, Dir: t.TempDir(), Path: "/bin/sh", Args: append([]string{"-c", script, "sh"}, args...),
		Env: []string{"PATH=/usr/bin:/bin"}, Resources: harvester.Resources{Cores: 1, MemoryMB: 100},
	}
}

func newTag() string { return harvester.TagPrefix + strings.ToLower(rand.Text()[:10]) }

// submit hands it in.
func submit(t *testing.T, b harvester.BatchSystem, sub harvester.Submission) []string {
	t.Helper()
	ids, err := b.Submit(t.Context(), sub)
	t.Cleanup(func() { _ = b.Cancel(context.WithoutCancel(t.Context()), ids) }) // also when the test fails
	if err != nil || len(ids) != sub.Count {
		t.Fatalf("submitting %d: %v, %v", sub.Count, ids, err)
	}
	return ids
}

// read is what one of the submission's pilots left in its folder.
func read(t *testing.T, sub harvester.Submission, index int, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sub.Dir, sub.Tag+"."+strconv.Itoa(index), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// look asks once about jobs, as the harvester does: the queue, and the second source for what it does not list.
func look(ctx context.Context, b harvester.BatchSystem, ids []string) (map[string]harvester.Status, error) {
	jobs, err := b.Queue(ctx)
	if err != nil {
		return nil, err
	}
	got := map[string]harvester.Status{}
	for _, j := range jobs {
		if slices.Contains(ids, j.ID) {
			got[j.ID] = j.Status
		}
	}
	missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, ok := got[id]; return ok })
	if len(missing) == 0 {
		return got, nil
	}
	past, err := b.History(ctx, missing)
	maps.Copy(got, past)
	return got, err
}

// until polls until something holds of all the jobs.
func (s suite) until(t *testing.T, b harvester.BatchSystem, ids []string, what string, limit time.Duration, ok func(harvester.Status) bool) map[string]harvester.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(min(s.Limit/100, time.Second))
	defer tick.Stop()
	for {
		got, err := look(ctx, b, ids) // a busy batch system may not answer once
		if err == nil && !slices.ContainsFunc(ids, func(id string) bool { st, known := got[id]; return !known || !ok(st) }) {
			return got
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not all %s after %s: %v, %+v", what, limit, err, got)
		}
	}
}

// await polls until all jobs are in a state.
func (s suite) await(t *testing.T, b harvester.BatchSystem, ids []string, want harvester.State) map[string]harvester.Status {
	t.Helper()
	return s.until(t, b, ids, string(want), s.Limit, func(st harvester.Status) bool { return st.State == want })
}

// awaitFile polls until a job has written a file: that it runs does not say how far it is.
func (s suite) awaitFile(t *testing.T, path string) {
	t.Helper()
	limit, tick := time.NewTimer(s.Limit), time.NewTicker(20*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s is not there after %s", path, s.Limit)
		}
	}
}
