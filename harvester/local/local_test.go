package local_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/batchtest"
	"tfpilot/harvester/local"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/testkit"
)

var await = testkit.Await

func open(t *testing.T, dir string) *local.System {
	t.Helper()
	return openWith(t, local.Config{Dir: dir, Grace: 200 * time.Millisecond})
}

func openWith(t *testing.T, cfg local.Config) *local.System {
	t.Helper()
	s, err := local.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestLocalIsABatchSystem(t *testing.T) {
	t.Parallel()
	batchtest.Run(t, batchtest.Traits{Limit: 30 * time.Second, NoHistory: true}, func(t *testing.T) harvester.BatchSystem {
		t.Helper()
		return openWith(t, local.Config{Dir: filepath.Join(t.TempDir(), "state [1]")}) // whose name is no pattern
	})
}

func submit(t *testing.T, s *local.System, script string) []string {
	t.Helper()
	ids, err := s.Submit(t.Context(), harvester.Submission{Tag: harvester.TagPrefix + "tag", Dir: t.TempDir(), Count: 1, Path: "/bin/sh", Args: []string{"-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// look is what the system says of each job.
func look(t *testing.T, s *local.System) map[string]harvester.Status {
	t.Helper()
	jobs, err := s.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]harvester.Status{}
	for _, j := range jobs {
		got[j.ID] = j.Status
	}
	return got
}

// Whoever took that for an empty folder would start all pilots again.
func TestAFolderThatCannotBeReadSaysNothingAboutJobs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jobs")
	s := open(t, dir)
	submit(t, s, "sleep 1000 & wait")
	if err := os.Rename(dir, dir+"-elsewhere"); err != nil {
		t.Fatal(err)
	}
	if jobs, err := s.Queue(t.Context()); exitcode.From(err) != exitcode.NoBatch {
		t.Errorf("%v, %v", jobs, err)
	}
}

func TestTheNextHarvesterFindsPilotsThatOutlivedTheLast(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state [1]")
	first := open(t, dir)
	ids := submit(t, first, "sleep 1000 & wait")
	// The first is not closed: a kill -9 would not have done that either.
	second := open(t, dir)
	state := func() harvester.State { return look(t, second)[ids[0]].State }
	if s := state(); s != harvester.Running {
		t.Fatalf("it is %q", s)
	}
	if err := second.Cancel(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	await(t, "its end", func() bool { return state() == harvester.Ended })
}

func TestCloseEndsTheJobsOfAFormerHarvesterToo(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{"that listens": "sleep 1000 & wait", "that does not": "trap '' TERM; while :; do sleep 1; done"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ready := filepath.Join(dir, "ready")
			ids := submit(t, open(t, dir), "echo > "+ready+"; "+script) // by one that is not closed, as after a kill -9
			await(t, "the job", func() bool { _, err := os.Stat(ready); return err == nil })
			second := open(t, dir)
			second.Close()
			got := look(t, second)
			if s := got[ids[0]]; s.State != harvester.Ended || !strings.Contains(s.Reason, "ended with the harvester") {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestHowJobsEndedIsKnownAfterClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openWith(t, local.Config{Dir: dir}) // with time to end by itself
	ready := filepath.Join(dir, "ready")
	ids := submit(t, s, "trap 'exit 59' TERM; echo > "+ready+"; while :; do sleep 0.01; done")
	await(t, "the job", func() bool { _, err := os.Stat(ready); return err == nil })
	s.Close()
	got := look(t, s)
	if st := got[ids[0]]; st.State != harvester.Ended || st.ExitCode != 59 || st.Reason != "interrupted" {
		t.Errorf("%+v", st)
	}
}

func TestAProcessThatMerelyHasTheNumberIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, harvester.TagPrefix+"old.0"), 0o700); err != nil {
		t.Fatal(err)
	}
	note := `{"pid":` + strconv.Itoa(os.Getpid()) + `,"start_ticks":1}`
	if err := os.WriteFile(filepath.Join(dir, harvester.TagPrefix+"old.0", "process.json"), []byte(note), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	got := look(t, s)
	if got[harvester.TagPrefix+"old.0"].State != harvester.Ended {
		t.Errorf("%+v", got)
	}
	if err := s.Cancel(t.Context(), []string{harvester.TagPrefix + "old.0"}); err != nil {
		t.Error(err)
	}
}

func TestCloseLeavesNothingOfAJob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := local.New(local.Config{Dir: dir, Grace: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(dir, "pids")
	submit(t, s, "trap '' TERM; setsid sleep 1000 & echo $$ $! > "+pids+"; wait; wait")
	var started []string
	await(t, "the job's processes", func() bool {
		b, err := os.ReadFile(pids)
		started = strings.Fields(string(b))
		return err == nil && len(started) == 2
	})
	s.Close()
	for _, text := range started {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func TestAJobEndsWithItsWallTimeAndSaysSo(t *testing.T) {
	t.Parallel()
	s := openWith(t, local.Config{Dir: t.TempDir()})
	ids, err := s.Submit(t.Context(), harvester.Submission{
		Tag: harvester.TagPrefix + "tag", Count: 1, Path: "/bin/sh", Args: []string{"-c", "sleep 1000"}, Resources: harvester.Resources{WallTime: 300 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "its end", func() bool { return look(t, s)[ids[0]].State == harvester.Ended })
	if st := look(t, s)[ids[0]]; st.Cause != exitcode.Walltime || st.Signal != int(syscall.SIGTERM) || st.Node == "" {
		t.Errorf("%+v", st)
	}
}

func TestACancelledJobSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ids := submit(t, s, "sleep 1000 & wait")
	if err := s.Cancel(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	await(t, "its end", func() bool { return look(t, s)[ids[0]].State == harvester.Ended })
	if st := look(t, s)[ids[0]]; st.Cause != exitcode.Cancelled {
		t.Errorf("%+v", st)
	}
}

func TestAJobWhoseFolderGoesIsNoTrouble(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	ids := submit(t, s, "exit 0")
	gone := filepath.Join(dir, harvester.TagPrefix+"gone.0")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(gone, "process.json")); err != nil { // listed, and not there when it is read
		t.Fatal(err)
	}
	if got := look(t, s); len(got) != 1 || got[ids[0]].State == "" {
		t.Errorf("%+v", got)
	}
}

func TestTheLauncherStandsBeforeTheCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := local.New(local.Config{Dir: dir, Launcher: []string{"env", "BY=launcher"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ids := submit(t, s, "[ $BY = launcher ] || exit 9")
	await(t, "its end", func() bool { return look(t, s)[ids[0]].State == harvester.Ended })
	if st := look(t, s)[ids[0]]; st.ExitCode != 0 {
		t.Errorf("%+v", st)
	}
	if f := s.Check(t.Context()); len(f) != 1 || !f[0].OK {
		t.Errorf("%+v", f)
	}
	absent, err := local.New(local.Config{Dir: dir, Launcher: []string{"no-such-launcher"}})
	if err != nil {
		t.Fatal(err)
	}
	if f := absent.Check(t.Context()); len(f) != 1 || f[0].OK || f[0].Next == "" {
		t.Errorf("%+v", f)
	}
}
