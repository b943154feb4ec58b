//go:build integration

package htcondor_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
	"tfpilot/internal/testkit"
)

// limit is long enough for a busy machine of two cores.
const limit = 2 * time.Minute

const variable = "TFPILOT_TEST_CONDOR"

// breakable is the folder of a pool that tests may break, while those of other packages use the one that is named.
var breakable string

func TestMain(m *testing.M) {
	stop := func() {}
	if os.Getenv(variable) != "" {
		breakable, stop = testkit.OwnService("condor")
	}
	m.Run() // whose status is that of the process
	stop()
}

// pool is the folder of the pool for tests.
func pool(t *testing.T) string {
	t.Helper()
	if breakable == "" {
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatalf("%s names no HTCondor pool, and REQUIRE_SERVICES is set", variable)
		}
		t.Skipf("no HTCondor pool; `scripts/services.sh up condor` starts one and prints %s=...", variable)
	}
	return breakable
}

// open makes a system on the pool.
func open(t *testing.T, change ...func(*htcondor.Config)) *htcondor.System {
	t.Helper()
	cfg := htcondor.Config{
		Bin: filepath.Join(pool(t), "bin"), HoldTime: 2 * time.Second, KeepTime: 2 * time.Second, Lease: 20 * time.Second, Jobs: t.TempDir(),
	}
	for _, c := range change {
		c(&cfg)
	}
	s, err := htcondor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// script is a submission of n shell scripts, which find its folder in $1.
func script(t *testing.T, n int, text string) harvester.Submission {
	t.Helper()
	dir := t.TempDir()
	return harvester.Submission{
		Tag: harvester.TagPrefix + strings.ToLower(rand.Text()[:10]), Count: n, Dir: dir, Path: "/bin/sh", Args: []string{"-c", text, "sh", dir},
		Env: []string{"PATH=/usr/bin:/bin"}, Resources: harvester.Resources{Cores: 1, MemoryMB: 100},
	}
}

// lasting is a script that writes a line when it starts, and ends on SIGTERM.
const lasting = `trap 'exit 59' TERM; echo $TFPILOT_BATCH_ID >>"$1/started"; sleep 1000 & wait`

// submit hands it in, and takes what is left of it away at the end.
func submit(t *testing.T, s *htcondor.System, sub harvester.Submission) []string {
	t.Helper()
	ids, err := s.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Cancel(context.WithoutCancel(t.Context()), ids); err != nil {
			t.Error(err)
		}
	})
	return ids
}

// look asks once, as the harvester does.
func look(t *testing.T, s *htcondor.System, ids []string) (map[string]harvester.Status, error) {
	t.Helper()
	jobs, err := s.Queue(t.Context())
	if err != nil {
		return nil, err
	}
	got := map[string]harvester.Status{}
	for _, j := range jobs {
		if slices.Contains(ids, j.ID) {
			got[j.ID] = j.Status
		}
	}
	if missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, ok := got[id]; return ok }); len(missing) > 0 {
		past, err := s.History(t.Context(), missing)
		if err != nil {
			return nil, err
		}
		maps.Copy(got, past)
	}
	return got, nil
}

// await polls until something is true of every job; that it cannot ask is no answer.
func await(t *testing.T, s *htcondor.System, ids []string, what string, ok func(harvester.Status) bool) map[string]harvester.Status {
	t.Helper()
	var got map[string]harvester.Status
	var err error
	poll(t, what, func() bool {
		got, err = look(t, s, ids)
		return err == nil && !slices.ContainsFunc(ids, func(id string) bool { st, known := got[id]; return !known || !ok(st) })
	}, func() { t.Logf("%v, %+v", err, got) })
	return got
}

func awaitState(t *testing.T, s *htcondor.System, ids []string, want harvester.State) map[string]harvester.Status {
	t.Helper()
	return await(t, s, ids, string(want), func(st harvester.Status) bool { return st.State == want })
}

// poll waits until ok, and says what the matter is when it never is.
func poll(t *testing.T, what string, ok func() bool, explain func()) {
	t.Helper()
	deadline := time.NewTimer(limit)
	tick := time.NewTicker(200 * time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			explain()
			t.Fatalf("not %s after %s", what, limit)
		}
	}
}

// started are the lines that the jobs of a submission have written when they started.
func started(t *testing.T, sub harvester.Submission) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sub.Dir, "started"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func awaitStarted(t *testing.T, sub harvester.Submission, n int) {
	t.Helper()
	poll(t, strconv.Itoa(n)+" started", func() bool { return len(started(t, sub)) >= n }, func() { t.Logf("%q", started(t, sub)) })
}

// command runs one of HTCondor's commands in the pool.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(pool(t), "bin", name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// daemons are the processes of a daemon of the pool, all or those whose command line has a word.
func daemons(t *testing.T, name, word string) []int {
	t.Helper()
	var pids []int
	mark := []byte("CONDOR_CONFIG=" + filepath.Join(pool(t), "condor_config") + "\x00")
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		comm, _ := os.ReadFile(filepath.Join(dir, "comm")) // it may be gone
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if strings.TrimSpace(string(comm)) == name && bytes.Contains(line, []byte(word)) && bytes.Contains(env, mark) {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// crash ends daemons as a crash would, all at once: none hears of the other's end.
func crash(t *testing.T, pids []int) {
	t.Helper()
	if len(pids) == 0 {
		t.Fatal("there is none to end")
	}
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range pids {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// children are those of a process among some.
func children(t *testing.T, pids []int, parents []int) []int {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return true
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, err := strconv.Atoi(fields[1])
		return err != nil || !slices.Contains(parents, parent)
	})
}
