package slurm_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/harvester/slurm"
	"tfpilot/internal/exitcode"
)

// program writes one. Nobody forks meanwhile: a child would have the file open for writing, and it could not be started.
func program(t *testing.T, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte(text), 0o700) //nolint:gosec // a program
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}

// fake is a system whose commands are shell scripts, which find the folder of the scripts in $DIR.
func fake(t *testing.T, scripts map[string]string) (s *slurm.System, dir string) {
	t.Helper()
	return impatient(t, time.Minute, scripts)
}

// impatient is one that waits no longer for its commands.
func impatient(t *testing.T, limit time.Duration, scripts map[string]string) (s *slurm.System, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range scripts {
		program(t, filepath.Join(dir, name), "#!/bin/sh\nDIR='"+dir+"'\n"+text+"\n")
	}
	s, err := slurm.New(slurm.Config{Bin: dir, Timeout: limit, Jobs: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func submission(t *testing.T) harvester.Submission {
	t.Helper()
	return harvester.Submission{
		Tag: harvester.TagPrefix + "test", Count: 3, Dir: t.TempDir(), Path: "/opt/it's/pilot", Args: []string{"run", "--slots", "2"},
		Env: []string{"TOKEN=hunter2", "PATH=/given"}, Resources: harvester.Resources{Cores: 2, MemoryMB: 4000, WallTime: 90 * time.Second}, Exclude: []string{"n7", "n8"},
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASubmissionIsOneCommandWithoutSecrets(t *testing.T) {
	t.Parallel()
	s, dir := fake(t, map[string]string{"sbatch": `printf '%s\n' "$@" >>$DIR/args; cat >>$DIR/script; echo "Welcome!"; echo "4711;alpha"`})
	sub := submission(t)
	ids, err := s.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"4711_0", "4711_1", "4711_2"}, ids); diff != "" {
		t.Error(diff)
	}
	args, script := read(t, dir, "args"), read(t, dir, "script")
	for _, want := range []string{
		"--job-name=" + sub.Tag, "--array=0-2", "--cpus-per-task=2", "--mem=4000M", "--time=2", "--exclude=n7,n8", "--no-requeue", "--open-mode=append",
		"--output=" + sub.Dir + "/" + sub.Tag + ".%a/pilot.out", "--error=" + sub.Dir + "/" + sub.Tag + ".%a/pilot.log",
	} {
		if strings.Count("\n"+args, "\n"+want+"\n") != 1 {
			t.Errorf("%s is not there once in:\n%s", want, args)
		}
	}
	if strings.Contains(args+script, "hunter2") {
		t.Errorf("a secret shows in\n%s\n%s", args, script)
	}
	if !strings.HasSuffix(script, `exec '/opt/it'\''s/pilot' 'run' '--slots' '2'`+"\n") {
		t.Errorf("the script does not become the pilot:\n%s", script)
	}
}

func TestWhetherASubmissionHappenedIsLeftOpenWhenNobodyKnows(t *testing.T) {
	t.Parallel()
	const hangs = "it hangs"
	for name, script := range map[string]string{
		hangs:                  "exec sleep 1000",
		"it says nothing":      "exit 0",
		"it says odd things":   "echo Your job will be considered",
		"it broke on the way":  "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
		"it lost the answer":   "echo 'sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received' >&2; exit 1",
		"it was killed itself": "kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if name == hangs {
				limit = time.Second
			}
			s, _ := impatient(t, limit, map[string]string{"sbatch": script})
			sub := submission(t)
			ids, err := s.Submit(t.Context(), sub)
			if !errors.Is(err, harvester.ErrUnclear) || ids != nil || strings.Contains(err.Error(), "did not answer") != (name == hangs) {
				t.Errorf("%v, %v", ids, err)
			}
			if _, err := os.Stat(filepath.Join(sub.Dir, sub.Tag+".0")); err != nil {
				t.Errorf("pilots that may come have no folder: %v", err)
			}
		})
	}
}

// The messages are those that Slurm 22.05 and 24.11 print.
func TestARefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const failed = "sbatch: error: Batch job submission failed: "
	for _, c := range []struct {
		words, next string
		want        exitcode.Failure
	}{
		{"sbatch: error: invalid partition specified: nope\n" + failed + "Invalid partition name specified", "sinfo -o", exitcode.BatchRefused},
		{failed + "Invalid account or account/partition combination specified", "sacctmgr", exitcode.BatchRefused},
		{failed + "Invalid qos specification", "qos", exitcode.BatchRefused},
		{failed + "Requested time limit is invalid (missing or exceeds some limit)", "wall_time", exitcode.BatchRefused},
		{failed + "Requested node configuration is not available", "[resources]", exitcode.BatchRefused},
		{failed + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", "max_workers", exitcode.BatchRefused},
		{failed + "Invalid job array specification", "max_submit", exitcode.BatchRefused},
		{"sbatch: unrecognized option '--nope'\nTry \"sbatch --help\" for more information", "options", exitcode.BatchRefused},
		{failed + "I/O error writing script/environment to file", "administrator", exitcode.NoBatch},
		{failed + "Unable to contact slurm controller (connect failure)", "scontrol ping", exitcode.NoBatch},
		{"sbatch: error: If munged is up, restart with --num-threads=10\nsbatch: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\": No such file or directory", "munge", exitcode.NoBatch},
		{failed + "The moon is in the wrong house", "harvester check", exitcode.BatchRefused},
	} {
		s, _ := fake(t, map[string]string{"sbatch": "cat >&2 <<'END'\n" + c.words + "\nEND\nexit 1"})
		sub := submission(t)
		_, err := s.Submit(t.Context(), sub)
		if exitcode.From(err) != c.want || errors.Is(err, harvester.ErrUnclear) || !strings.Contains(exitcode.Next(err), c.next) {
			t.Errorf("%s: %s: %v; next: %s", c.words, exitcode.From(err).Name, err, exitcode.Next(err))
		}
		if left, _ := os.ReadDir(sub.Dir); len(left) != 0 {
			t.Errorf("%s: %v is left", c.words, left)
		}
	}
}

func TestASlurmThatIsNotThereSaysSo(t *testing.T) {
	t.Parallel()
	s, _ := fake(t, nil)
	_, err := s.Queue(t.Context())
	if exitcode.From(err) != exitcode.NoBatch || !strings.Contains(exitcode.Next(err), "set bin in the [slurm] table") {
		t.Errorf("%v; next: %s", err, exitcode.Next(err))
	}
	findings := s.Check(t.Context())
	if len(findings) != 1 || findings[0].OK || findings[0].Next == "" {
		t.Errorf("%+v", findings)
	}
}

func TestAControllerThatIsDownIsSaidInSlurmsWords(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{"scontrol": `[ $1 = --version ] || { echo "Slurmctld(primary) at head is DOWN"; exit 1; }`}
	for _, command := range []string{"sbatch", "squeue", "scancel", "sacct", "sinfo"} {
		scripts[command] = "echo slurm 22.05.8"
	}
	s, _ := fake(t, scripts)
	for _, f := range s.Check(t.Context()) {
		if f.What == "controller" && (f.OK || !strings.Contains(f.Detail, "at head is DOWN") || !strings.Contains(f.Next, "scontrol ping")) {
			t.Errorf("%+v", f)
		}
	}
}

func TestAFolderThatCannotBeMadeIsNoSubmission(t *testing.T) {
	t.Parallel()
	s, dir := fake(t, map[string]string{"sbatch": `touch $DIR/called; echo 1`})
	sub := submission(t)
	sub.Dir = "/proc/nowhere"
	if _, err := s.Submit(t.Context(), sub); exitcode.From(err) != exitcode.SiteNoSpace || !strings.Contains(err.Error(), "/proc/nowhere") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "called")); err == nil {
		t.Error("sbatch was called")
	}
}

func TestAJobIsNotCancelledAgainBeforeALookShowsItUntouched(t *testing.T) {
	t.Parallel()
	s, dir := fake(t, map[string]string{"scancel": `echo "$@" >>$DIR/cancelled`, "squeue": `cat $DIR/queue`})
	cancel := func(ids ...string) {
		t.Helper()
		if err := s.Cancel(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
	}
	look := func(file string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "queue"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Queue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	queue := recorded(t, "squeue-22.05.8.txt")
	cancel("147_0", "137_0", "no-such-job")
	cancel("147_0", "137_0")
	look(queue) // 147_0 is ending, 137_0 runs
	cancel("147_0", "137_0")
	look("")
	cancel("147_0")
	if got, want := read(t, dir, "cancelled"), "--quiet 147_0 137_0\n--quiet 137_0\n--quiet 147_0\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestHistoryAsksOnceAndOnlyOfTasks(t *testing.T) {
	t.Parallel()
	s, dir := fake(t, map[string]string{"sacct": `echo "$@" >>$DIR/asked`})
	if _, err := s.History(t.Context(), []string{"no-such-job", "12"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.History(t.Context(), []string{"4_0", "x", "4_1", "7_2"}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, "asked"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "--jobs=4,7 ") {
		t.Errorf("%q", got)
	}
}

func TestASiteWithoutAccountingKnowsNothingOfThePast(t *testing.T) {
	t.Parallel()
	s, _ := fake(t, map[string]string{"sacct": `echo "Slurm accounting storage is disabled" >&2; exit 1`})
	if past, err := s.History(t.Context(), []string{"4_0"}); err != nil || len(past) != 0 {
		t.Errorf("%v, %v", past, err)
	}
	s, _ = fake(t, map[string]string{"sacct": `echo "sacct: error: Problem talking to the database: Connection refused" >&2; exit 1`})
	if past, err := s.History(t.Context(), []string{"4_0"}); err == nil || past != nil {
		t.Errorf("%v, %v", past, err)
	}
}

func TestAllThatIsWrongWithAConfigurationIsSaid(t *testing.T) {
	t.Parallel()
	_, err := slurm.New(slurm.Config{Options: []string{"gpu", "--array=0-7"}, Warning: -1, Timeout: 1, Scratch: "tmp"})
	if exitcode.From(err) != exitcode.BadConfig {
		t.Fatal(err)
	}
	for _, want := range []string{`"gpu"`, "--array", "warning", "timeout", `"tmp"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in %q", want, err)
		}
	}
}

func TestOptionsByWhichPilotsAreFoundAgainAreNotForASite(t *testing.T) {
	t.Parallel()
	for _, o := range []string{"-Jmine", "-J=mine", "--job-name=mine", "--job=mine", "-a0-7", "--arr=1", "-o/tmp/x", "--wait", "-W", "--test-only", "-D/tmp", "--export=NONE"} {
		if _, err := slurm.New(slurm.Config{Options: []string{o}}); err == nil || !strings.Contains(err.Error(), "is the harvester's to set") {
			t.Errorf("%s: %v", o, err)
		}
	}
	for _, o := range []string{"--gres=gpu:1", "--exclusive", "-C=big", "-Lcvmfs", "--exclude=n1", "--export-file=/x", "--hold", "--wait-all-nodes=1", "--comment=--wait"} {
		if _, err := slurm.New(slurm.Config{Options: []string{o}}); err != nil {
			t.Errorf("%s: %v", o, err)
		}
	}
}

func TestWhatWasTakenAlongIsRemovedWhenNobodyNeedsItAnyMore(t *testing.T) {
	t.Parallel()
	s, dir := fake(t, map[string]string{"sbatch": "echo 4711", "squeue": "cat $DIR/queue"})
	if err := os.WriteFile(filepath.Join(dir, "queue"), []byte(recorded(t, "squeue-22.05.8.txt")), 0o600); err != nil {
		t.Fatal(err)
	}
	sub := submission(t)
	sub.Path, sub.Ship = filepath.Join(dir, "sbatch"), true
	aged := time.Now().Add(-2 * time.Hour)
	for _, tag := range []string{"ok", "run", "gone"} { // one has ended, one runs, one is not known any more
		folder := filepath.Join(sub.Dir, harvester.TagPrefix+tag+".files")
		if err := errors.Join(os.Mkdir(folder, 0o700), os.Chtimes(folder, aged, aged)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() []string {
		t.Helper()
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(sub.Dir, "*.files"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		return found
	}
	if got := left(); len(got) != 4 {
		t.Errorf("before any look, of three and its own are left: %v", got)
	}
	if _, err := s.Queue(t.Context()); err != nil {
		t.Fatal(err)
	}
	sub.Tag += "2"
	if diff := cmp.Diff([]string{"tfpilot-run.files", "tfpilot-test.files", "tfpilot-test2.files"}, left()); diff != "" {
		t.Error(diff)
	}
}
