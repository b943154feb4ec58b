package batchtest

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

func (s suite) exitStatus(t *testing.T) {
	t.Helper()
	b := s.open(t)
	started := time.Now().Add(-2 * time.Second) // batch systems tell whole seconds
	ids := submit(t, b, submission(t, 3, `exit $((7 + ${TFPILOT_WORKER_ID##*.}))`))
	ended := s.await(t, b, ids, harvester.Ended)
	for i, id := range ids {
		st, want := ended[id], 7+i
		if st.ExitCode != want || st.Signal != 0 || st.Cause.Code != exitcode.OK.Code {
			t.Errorf("%s: %+v, want exit status %d", id, st, want)
		}
		if st.StartedAt.Before(started) || st.EndedAt.Before(st.StartedAt) {
			t.Errorf("%s: started %s, ended %s", id, st.StartedAt, st.EndedAt)
		}
	}
}

func (s suite) signal(t *testing.T) {
	t.Helper()
	b := s.open(t)
	ids := submit(t, b, submission(t, 1, "kill -9 $$"))
	for id, st := range s.await(t, b, ids, harvester.Ended) {
		if st.ExitCode != -1 || st.Signal != int(syscall.SIGKILL) || st.Reason == "" {
			t.Errorf("%s: %+v", id, st)
		}
	}
}

func (s suite) cancel(t *testing.T) {
	t.Helper()
	b := s.open(t)
	dir := t.TempDir()
	// What it does after the signal takes a moment: it has to be given that.
	ids := submit(t, b, submission(t, 1, `trap 'sleep 0.3; echo >"$1/clean"; exit 0' TERM; echo >"$1/ready"; while :; do sleep 0.1; done`, dir))
	s.awaitFile(t, filepath.Join(dir, "ready"))
	if err := b.Cancel(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	for id, st := range s.await(t, b, ids, harvester.Ended) {
		if st.Cause.Code != exitcode.Cancelled.Code || st.EndedAt.IsZero() {
			t.Errorf("%s: %+v", id, st)
		}
	}
	s.awaitFile(t, filepath.Join(dir, "clean"))
}

func (s suite) cancelOne(t *testing.T) {
	t.Helper()
	b := s.open(t)
	ids := submit(t, b, submission(t, 2, "sleep 1000 & wait"))
	s.await(t, b, ids, harvester.Running)
	if err := b.Cancel(t.Context(), ids[:1]); err != nil {
		t.Fatal(err)
	}
	s.await(t, b, ids[:1], harvester.Ended)
	got, err := look(t.Context(), b, ids)
	if err != nil || got[ids[1]].State != harvester.Running {
		t.Errorf("the other one: %+v, %v", got[ids[1]], err)
	}
	if err := b.Cancel(t.Context(), append(slices.Clone(ids), "no-such-job")); err != nil {
		t.Errorf("cancelling what has ended: %v", err)
	}
	s.await(t, b, ids, harvester.Ended)
	if err := b.Cancel(t.Context(), nil); err != nil {
		t.Errorf("cancelling nothing: %v", err)
	}
}

func (s suite) wallTime(t *testing.T) {
	t.Helper()
	b := s.open(t)
	script := `trap '' USR2; echo "$TFPILOT_WALL_TIME"`
	if s.WallTime > 0 {
		script += "; sleep 1000 & wait"
	}
	sub := submission(t, 1, script)
	if sub.WallTime = s.WallTime; sub.WallTime == 0 {
		sub.WallTime = time.Hour
	}
	ids := submit(t, b, sub)
	if s.WallTime == 0 { // it is only told
		s.await(t, b, ids, harvester.Ended)
	} else {
		ended := func(st harvester.Status) bool { return st.State == harvester.Ended }
		for id, st := range s.until(t, b, ids, "ended", s.WallTime+max(s.Limit, 2*time.Minute), ended) {
			if st.Cause.Code != exitcode.Walltime.Code {
				t.Errorf("%s: %+v", id, st)
			}
		}
	}
	if s.LosesKilledOutput {
		return
	}
	if got, err := time.ParseDuration(strings.TrimSpace(read(t, sub, 0, harvester.StdoutFile))); err != nil || got != sub.WallTime {
		t.Errorf("it was told %s, want %s: %v", got, sub.WallTime, err)
	}
}

func (s suite) many(t *testing.T) {
	t.Helper()
	b := s.open(t)
	const n = 40
	sub := submission(t, n, `echo "$TFPILOT_WORKER_ID $TFPILOT_BATCH_ID"`)
	ids := submit(t, b, sub)
	if distinct := slices.Compact(slices.Sorted(slices.Values(ids))); len(distinct) != n {
		t.Fatalf("%d of %d ids are distinct: %v", len(distinct), n, ids)
	}
	s.await(t, b, ids, harvester.Ended)
	for i, id := range ids {
		want := sub.Tag + "." + strconv.Itoa(i) + " " + id + "\n"
		if got := read(t, sub, i, harvester.StdoutFile); got != want {
			t.Errorf("the pilot is %q, want %q", got, want)
		}
	}
}

func (s suite) find(t *testing.T) {
	t.Helper()
	b := s.open(t)
	sub := submission(t, 3, "sleep 1000 & wait")
	ids := submit(t, b, sub)
	other := submit(t, b, submission(t, 1, "sleep 1000 & wait"))
	jobs, err := b.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 3)
	for _, j := range jobs {
		if j.Tag == sub.Tag {
			got[j.Index] = j.ID
		}
		if slices.Contains(ids, j.ID) && !j.State.Live() {
			t.Errorf("%s: %+v", j.ID, j.Status)
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("found %v, want %v", got, ids)
	}
	if err := b.Cancel(t.Context(), append(ids, other...)); err != nil {
		t.Error(err)
	}
}

func (s suite) history(t *testing.T) {
	t.Helper()
	b := s.open(t)
	ids := submit(t, b, submission(t, 2, "exit 3"))
	s.await(t, b, ids, harvester.Ended)
	past, err := b.History(t.Context(), append(slices.Clone(ids), "no-such-job"))
	if err != nil {
		t.Fatal(err)
	}
	if s.NoHistory {
		if len(past) != 0 {
			t.Errorf("%+v", past)
		}
		return
	}
	// What keeps the past may hear of it a moment later.
	for deadline := time.Now().Add(s.Limit); (past[ids[0]].State != harvester.Ended || past[ids[1]].State != harvester.Ended) && time.Now().Before(deadline); {
		if past, err = b.History(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		if st := past[id]; st.State != harvester.Ended || st.ExitCode != 3 || st.StartedAt.IsZero() || st.EndedAt.Before(st.StartedAt) {
			t.Errorf("%s: %+v", id, st)
		}
	}
}

func (s suite) unknown(t *testing.T) {
	t.Helper()
	got, err := s.open(t).History(t.Context(), []string{"no-such-job", "999999", "999999_1", "999999.1", "", "-h"})
	if err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func (s suite) noProgram(t *testing.T) {
	t.Helper()
	b := s.open(t)
	sub := submission(t, 1, "")
	sub.Path = "/no/such/program"
	ids, err := b.Submit(t.Context(), sub)
	if err != nil {
		if len(ids) != 0 {
			t.Errorf("it is said to be submitted as %v: %v", ids, err)
		}
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
	sub := submission(t, 1, "env")
	given := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/given", "EMPTY=", "COMMA=a,b", "SPACES=  a  b  ", `QUOTES="a" 'b'`, `DOLLAR=$HOME ${HOME} $(id)`,
		`PERCENT=%a %j`, `BACKSLASH=a\nb\`, "SEMICOLON=a;b", "UTF8=τ",
	}
	sub.Env = given
	ids := submit(t, b, sub)
	s.await(t, b, ids, harvester.Ended)
	got := strings.Split(read(t, sub, 0, harvester.StdoutFile), "\n")
	for _, want := range append(given,
		harvester.EnvBatchSystem+"="+b.Name(), harvester.EnvBatchID+"="+ids[0], harvester.EnvWorkerID+"="+sub.Tag+".0",
	) {
		if !slices.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, v := range got {
		if strings.HasPrefix(v, secret) || strings.HasPrefix(v, "LC_ALL=") || strings.HasPrefix(v, harvester.EnvWallTime) {
			t.Errorf("it has %s", v)
		}
	}
	if t.Failed() {
		t.Logf("it has %q", got)
	}
}

func (s suite) arguments(t *testing.T) {
	t.Helper()
	b := s.open(t)
	args := []string{"plain", "", " two  words ", `"double" 'single' ""`, "$HOME $(id) `id`", `back\slash\`, "%a%j", "a,b;c&d|e>f<g", "*", "#no comment", "-x", "τ"}
	sub := submission(t, 1, `for a in "$@"; do echo "[$a]"; done`, args...)
	ids := submit(t, b, sub)
	s.await(t, b, ids, harvester.Ended)
	if diff := cmp.Diff("["+strings.Join(args, "]\n[")+"]\n", read(t, sub, 0, harvester.StdoutFile)); diff != "" {
		t.Error(diff)
	}
}

func (s suite) output(t *testing.T) {
	t.Helper()
	b := s.open(t)
	sub := submission(t, 2, `echo "out $TFPILOT_WORKER_ID"; echo "err $TFPILOT_WORKER_ID" >&2`)
	ids := submit(t, b, sub)
	s.await(t, b, ids, harvester.Ended)
	for i := range ids {
		worker := sub.Tag + "." + strconv.Itoa(i)
		if out, errs := read(t, sub, i, harvester.StdoutFile), read(t, sub, i, harvester.StderrFile); out != "out "+worker+"\n" || errs != "err "+worker+"\n" {
			t.Errorf("%s: %q and %q", worker, out, errs)
		}
	}
}

func (s suite) cancelledOutput(t *testing.T) {
	t.Helper()
	if s.LosesKilledOutput {
		return
	}
	b := s.open(t)
	dir := t.TempDir()
	sub := submission(t, 1, `echo before >&2; echo >"$1/ready"; sleep 1000 & wait`, dir)
	ids := submit(t, b, sub)
	s.awaitFile(t, filepath.Join(dir, "ready"))
	if err := b.Cancel(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	s.await(t, b, ids, harvester.Ended)
	// The batch system may add its own words.
	if got := read(t, sub, 0, harvester.StderrFile); !strings.HasPrefix(got, "before\n") {
		t.Errorf("%q", got)
	}
}

func (s suite) running(t *testing.T) {
	t.Helper()
	b := s.open(t)
	sub := submission(t, 1, "sleep 1000 & wait")
	sub.WallTime = time.Hour
	ids := submit(t, b, sub)
	for id, st := range s.await(t, b, ids, harvester.Running) {
		if st.Node == "" || st.StartedAt.IsZero() || st.StartedAt.Before(st.QueuedAt) {
			t.Errorf("%s: %+v", id, st)
		}
		if s.WallTime > 0 && !st.EndsAt.IsZero() && st.EndsAt.Sub(st.StartedAt) != time.Hour {
			t.Errorf("%s is to end %s after its start, want an hour", id, st.EndsAt.Sub(st.StartedAt))
		}
	}
	if err := b.Cancel(t.Context(), ids); err != nil {
		t.Error(err)
	}
}

func (s suite) check(t *testing.T) {
	t.Helper()
	for _, f := range s.open(t).Check(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}
