package nodetest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/fitness"
	"tfpilot/internal/testkit"
	"tfpilot/pilot/nodetest"
)

var must = testkit.Must

// script writes a program into a folder of its own.
func script(t *testing.T, name, text string) string {
	t.Helper()
	return scriptIn(t, t.TempDir(), name, text)
}

func scriptIn(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	// Nobody forks meanwhile: a child would have the file open for writing, and it could not be started.
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755) //nolint:gosec // a program
	syscall.ForkLock.RUnlock()
	must(t, err)
	return path
}

// examine runs the tests of a configuration in a work directory of its own, with no time to lose where something is to hang.
func examine(t *testing.T, cfg nodetest.Config, change ...func(*nodetest.Places)) map[string]fitness.Finding {
	t.Helper()
	return byName(newTests(t, cfg, change...).Test(t.Context(), false))
}

func newTests(t *testing.T, cfg nodetest.Config, change ...func(*nodetest.Places)) *nodetest.Tests {
	t.Helper()
	config.Defaults(&cfg)
	places := nodetest.Places{WorkDir: t.TempDir()}
	for _, c := range change {
		c(&places)
	}
	tests, err := nodetest.New(places, cfg)
	must(t, err)
	return tests
}

func byName(findings []fitness.Finding) map[string]fitness.Finding {
	m := map[string]fitness.Finding{}
	for _, f := range findings {
		m[f.Test] = f
	}
	return m
}

// aMoment is a limit for what hangs: what does not has to be done well within it.
const aMoment = 5 * time.Second

func TestAProgramOfTheSiteSaysWhetherTheNodeIsFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		verdict fitness.Verdict
		found   string
		next    string
	}{
		"good":           {`echo '{"found":"scratch is there"}'`, fitness.OK, "scratch is there", ""},
		"bad":            {`echo '{"found":"no scratch","next":"mount it"}'; exit 1`, fitness.Bad, "no scratch", "mount it"},
		"cannot-tell":    {`echo '{"found":"no such tool"}'; exit 2`, fitness.Unknown, "no such tool", ""},
		"another-status": {`echo '{"found":"odd"}'; exit 77`, fitness.Bad, "ended with status 77, which is none of 0, 1 and 2; odd", "0 for good"},
		"killed":         {`kill -9 $$`, fitness.Bad, "ended by a signal (killed); printed no JSON line", "by hand"},
		"junk":           {`echo junk`, fitness.OK, `printed no JSON line on stdout; its last line is "junk"`, `{"found":`},
		"junk-and-bad":   {`echo Traceback >&2; exit 1`, fitness.Bad, `its last line is "Traceback"`, ""},
		"silent":         {`exit 1`, fitness.Bad, "printed nothing at all", ""},
		"binary":         {`head -c 5000 /dev/zero`, fitness.OK, "printed no JSON line", ""},
		"flood":          {`echo '{"found":"first"}'; head -c 50000000 /dev/zero`, fitness.OK, "first (and it printed 47 MiB more)", ""},
		"terminal":       {`printf '{"found":"\\u001b[31mred"}\n'`, fitness.OK, "[31mred", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := examine(t, nodetest.Config{Programs: []string{script(t, name, c.text)}})[name]
			if f.Verdict != c.verdict || !strings.Contains(f.Found, c.found) || !strings.Contains(f.Next, c.next) || f.Seconds <= 0 {
				t.Errorf("got %+v", f)
			}
			if strings.ContainsAny(f.Found, "\x00\x1b\n") {
				t.Errorf("%q would be obeyed by a terminal", f.Found)
			}
		})
	}
}

func TestAProgramThatCannotBeStartedSaysSoAndWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "no-x"), []byte("#!/bin/sh\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "no-shebang"), []byte("echo\n"), 0o755))                  //nolint:gosec // a program
	must(t, os.WriteFile(filepath.Join(dir, "no-interpreter"), []byte("#!/nowhere/python\n"), 0o755)) //nolint:gosec // a program
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	cfg := nodetest.Config{}
	for _, name := range []string{"no-x", "no-shebang", "no-interpreter", "empty", "missing"} {
		cfg.Programs = append(cfg.Programs, filepath.Join(dir, name))
	}
	found := examine(t, cfg)
	for name, want := range map[string][2]string{
		"no-x":           {"permission denied", "chmod +x"},
		"no-shebang":     {"exec format error", "#!/bin/sh"},
		"no-interpreter": {"no such file", "interpreter"},
		"empty":          {"is an empty folder", "--node-test"},
		"missing":        {"no such file", "--node-test"},
	} {
		f := found[name]
		if f.Verdict != fitness.Bad || !strings.Contains(f.Found, want[0]) || !strings.Contains(f.Next, want[1]) || f.Failure != "node_unfit" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestAFolderStandsForAllItsProgramsInTheOrderOfTheirNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"20-b", "10-a", ".hidden", "10-a~"} {
		scriptIn(t, dir, name, `echo '{"found":"well"}'`)
	}
	must(t, os.WriteFile(filepath.Join(dir, "lost-its-x"), nil, 0o644))
	var names []string
	for _, f := range newTests(t, nodetest.Config{Programs: []string{dir}}).Test(t.Context(), false) {
		names = append(names, f.Test+" "+string(f.Verdict))
	}
	if got := strings.Join(names, ", "); !strings.HasSuffix(got, "10-a ok, 20-b ok, lost-its-x bad") {
		t.Error(got)
	}
}

func TestAProgramSeesTheSlotAndNoSecret(t *testing.T) {
	t.Parallel()
	p := script(t, "sees", `echo '{"found":"'"$TFPILOT_WORK_DIR $TFPILOT_NODE_LIMIT $MORE $PWD [$TFPILOT_TOKEN] $(nice)"'"}'`)
	var work string
	tests := newTests(t, nodetest.Config{Programs: []string{p}, Limit: 9 * time.Second}, func(p *nodetest.Places) {
		p.Env = []string{"MORE=more"}
		work = p.WorkDir
	})
	if got, want := byName(tests.Test(t.Context(), false))["sees"].Found, work+" 9 more / [] "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// Beside payloads it has the lowest priority.
	if got := byName(tests.Test(t.Context(), true))["sees"].Found; !strings.HasSuffix(got, " 19") {
		t.Errorf("got %q", got)
	}
}

func TestAProgramThatHangsIsAResultAndNothingIsLeftOfIt(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	found := examine(t, nodetest.Config{Limit: aMoment, Programs: []string{
		script(t, "hangs", "sleep 1000"), script(t, "ignores-SIGTERM", `trap "" TERM; sleep 1000; sleep 1000`),
		script(t, "forks", fmt.Sprintf("setsid sleep 1000 & echo $! > %s; sleep 1000", pidFile)),
	}})
	for _, name := range []string{"hangs", "ignores-SIGTERM", "forks"} {
		if f := found[name]; f.Verdict != fitness.Bad || f.Found != "did not end within 5s and was killed" || !strings.Contains(f.Next, "--node-limit") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	text, err := os.ReadFile(pidFile)
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(b), ") Z ") {
		t.Errorf("process %d is left: %s", pid, b)
	}
}

func TestTheEndOfThePilotEndsItsTests(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "started")
	must(t, syscall.Mkfifo(fifo, 0o600))
	tests := newTests(t, nodetest.Config{Programs: []string{script(t, "long", "echo > "+fifo+"; sleep 1000")}, Limit: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tests.Test(ctx, false) }()
	_, err := os.ReadFile(fifo) // it runs
	must(t, err)
	stop()
	select {
	case <-done:
	case <-time.After(testkit.Patience):
		t.Fatal("it goes on")
	}
}

func TestARelativePathIsThatOfTheCurrentFolder(t *testing.T) {
	p := script(t, "here", `echo '{"found":"well"}'`)
	t.Chdir(filepath.Dir(p))
	if f := examine(t, nodetest.Config{Programs: []string{"here"}})["here"]; f.Verdict != fitness.OK {
		t.Errorf("%+v", f)
	}
}

func TestAnExaminationThatWasBegunEndsWithItsPilot(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "started")
	must(t, syscall.Mkfifo(fifo, 0o600))
	tests := newTests(t, nodetest.Config{Programs: []string{script(t, "long", "echo $$ > "+fifo+"; sleep 1000")}, Limit: time.Hour})
	end := tests.Begin(t.Context())
	pid, err := os.ReadFile(fifo) // it runs
	must(t, err)
	end()
	if b, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat"); err == nil && !strings.Contains(string(b), ") Z ") {
		t.Errorf("%s is left", b)
	}
}
