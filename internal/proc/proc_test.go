package proc_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
	"tfpilot/internal/testkit"
)

var await = testkit.Await

// nursery makes the test binary a program that starts another one, says which, and waits to be killed.
const nursery = "PROC_TEST_NURSERY"

func TestMain(m *testing.M) {
	mode := os.Getenv(nursery)
	if mode == "" {
		goleak.VerifyTestMain(m)
		return
	}
	p, err := proc.Start(context.Background(), proc.Command{Path: "/bin/sleep", Args: []string{"300"}, DiesWithParent: mode == "dies"})
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(os.Getenv("PID_FILE")+".new", []byte(strconv.Itoa(p.PID())), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(os.Getenv("PID_FILE")+".new", os.Getenv("PID_FILE")); err != nil {
		panic(err)
	}
	_, _ = p.Wait()
}

// startNursery starts one and returns the process that it has started.
func startNursery(t *testing.T, mode string) (p *proc.Process, pid int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	p, err = proc.Start(t.Context(), proc.Command{Path: self, Env: []string{nursery + "=" + mode, "PID_FILE=" + file}})
	if err != nil {
		t.Fatal(err)
	}
	return p, awaitPID(t, file)
}

// awaitPID waits for the process id that a nursery writes.
func awaitPID(t *testing.T, file string) (pid int) {
	t.Helper()
	await(t, "the inner program", func() bool {
		text, err := os.ReadFile(file)
		if err == nil {
			pid, err = strconv.Atoi(string(text))
		}
		return err == nil
	})
	return pid
}

func sh(script string) proc.Command {
	return proc.Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Grace: time.Second}
}

func TestOutputExitCodeAndUsageComeBack(t *testing.T) {
	t.Parallel()
	out, errs := proc.NewCapture(100, 100), proc.NewCapture(100, 100)
	c := sh("read x; echo got $x; echo oops >&2; exit 7")
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader("input\n"), out, errs
	res, err := proc.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if res.ExitCode != 7 || out.String() != "got input\n" || errs.String() != "oops\n" || res.MaxRSSBytes == 0 {
		t.Errorf("%+v %q %q", res, out, errs)
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Parallel()
	out := proc.NewCapture(10000, 0)
	c := sh("env")
	c.Env, c.Stdout = []string{"ONLY=this"}, out
	if _, err := proc.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		name, _, _ := strings.Cut(line, "=")
		if name != "ONLY" && name != "PWD" && name != "_" && name != "SHLVL" && name != "OLDPWD" && name != proc.Mark {
			t.Errorf("inherited %s", line)
		}
	}
}

// Each script leaves processes behind in its own way and writes their ids into a file.
func TestNothingOfATreeSurvives(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"Child":          `sleep 300 & echo $! >>"$PIDS"`,
		"IgnoresTERM":    `trap "" TERM; sleep 300 & echo $! >>"$PIDS"`,
		"OwnSession":     `setsid sh -c 'echo $$ >>"$PIDS"; exec sleep 300' &`,
		"DoubleFork":     `sh -c 'setsid sh -c "echo \$\$ >>\"$PIDS\"; exec sleep 300" & exit' & `,
		"DeadDaemon":     `setsid sh -c 'echo $$ >>"$PIDS"' & `,
		"DaemonOfDaemon": `setsid sh -c 'setsid sh -c "echo \$\$ >>\"$PIDS\"; exec sleep 300" & echo $$ >>"$PIDS"; exec sleep 300' &`,
	} {
		for _, ending := range []string{"itself", "context"} {
			t.Run(name+"/EndedBy"+ending, func(t *testing.T) {
				t.Parallel()
				pids := filepath.Join(t.TempDir(), "pids")
				ready := filepath.Join(t.TempDir(), "ready")
				want := 1 + strings.Count(name, "Of")
				script := fmt.Sprintf(`export PIDS=%s; %s
while [ "$(wc -l <"$PIDS" 2>/dev/null || echo 0)" -lt %d ]; do sleep 0.01; done; touch %s`, pids, script, want, ready)
				if ending == "context" {
					script += "; trap '' TERM; while :; do sleep 1; done"
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := sh(script)
				c.Grace = 50 * time.Millisecond
				p, err := proc.Start(ctx, c)
				if err != nil {
					t.Fatal(err)
				}
				await(t, "the tree", func() bool { _, err := os.Stat(ready); return err == nil })
				if ending == "context" {
					cancel()
				}
				res, err := p.Wait()
				if err != nil {
					t.Fatal(err)
				}
				if res.Ended != (ending == "context") {
					t.Errorf("%+v", res)
				}
				b, err := os.ReadFile(pids)
				if err != nil {
					t.Fatal(err)
				}
				for text := range strings.FieldsSeq(string(b)) {
					if pid, _ := strconv.Atoi(text); alive(pid) {
						stat, _ := os.ReadFile("/proc/" + text + "/stat")
						t.Errorf("process %d is alive: %s", pid, stat)
					}
				}
			})
		}
	}
}

// alive holds for a dead process too as long as nobody has waited for it: those are to go as well.
func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// stuck is a writer that takes nothing until it is released, so that a program's end is never complete, as of one that hangs in the
// kernel.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) {
	<-s
	return len(p), nil
}

func TestNobodyWaitsForAProgramThatCannotBeEnded(t *testing.T) {
	t.Parallel()
	held := make(stuck)
	defer close(held)
	c := sh("echo; exec sleep 1000")
	c.Stdout, c.Grace = held, 10*time.Millisecond
	if res, err := proc.RunFor(t.Context(), 10*time.Millisecond, c); err != nil || !res.Ended {
		t.Errorf("%+v, %v", res, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := proc.RunFor(ctx, time.Hour, c); err != nil || !res.Ended {
		t.Errorf("told to end: %+v, %v", res, err)
	}
	if res, err := proc.RunFor(t.Context(), time.Hour, sh("exit 7")); err != nil || res.Ended || res.ExitCode != 7 {
		t.Errorf("one that ends: %+v, %v", res, err)
	}
}

func TestAFloodIsTakenAndBounded(t *testing.T) {
	t.Parallel()
	out := proc.NewCapture(10, 10)
	c := sh("head -c 10000000 /dev/zero | tr '\\0' x; echo end")
	c.Stdout = out
	if _, err := proc.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "xxxxxxxxxx\n... 9999984 bytes dropped ...\n") || !strings.HasSuffix(got, "xxxxxxend\n") {
		t.Errorf("%q", got)
	}
}

func TestAProgramThatDoesNotStartIsTheSitesFault(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/no/such/program", "/etc/passwd", "no-such-program"} {
		_, err := proc.Run(t.Context(), proc.Command{Path: path})
		if got := exitcode.From(err); got != exitcode.SiteNoProgram {
			t.Errorf("%s: %s: %v", path, got.Name, err)
		}
	}
}

func TestASignalIsNamed(t *testing.T) {
	t.Parallel()
	res, err := proc.Run(t.Context(), sh("kill -SEGV $$"))
	if err != nil || res.Signal != "segmentation fault" || res.ExitCode != -1 || res.Ended {
		t.Errorf("%+v, %v", res, err)
	}
}

// A pilot that is killed cannot end its payload; whoever runs the pilot can.
func TestATreeWithinATreeIsEndedWhenItsStarterWasKilled(t *testing.T) {
	t.Parallel()
	p, inner := startNursery(t, "stays")
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	res, err := p.Wait()
	if err != nil || res.LeftBehind != 1 || alive(inner) {
		t.Errorf("%+v, %v, alive %v", res, err, alive(inner))
	}
}

func TestAProgramDiesWithItsParentWhenToldTo(t *testing.T) {
	t.Parallel()
	p, inner := startNursery(t, "dies")
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// It may be met on its way, but needs nobody to end it, and was not left behind.
	if res, err := p.Wait(); err != nil || res.LeftBehind != 0 || alive(inner) {
		t.Errorf("%+v, %v, alive %v", res, err, alive(inner))
	}
}

func TestAServiceOutlivesTheProgramThatStartsItAndIsReaped(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"in its starter's session": `sleep 300 </dev/null >/dev/null 2>&1 & echo $!`,
		"in one of its own":        `setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said strings.Builder
			c := sh(script)
			c.Stdout, c.StartsService = &said, true
			res, err := proc.Run(t.Context(), c)
			if err != nil || res.ExitCode != 0 || res.LeftBehind != 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(said.String()))
			if err != nil {
				t.Fatal(err)
			}
			// Another tree that ends does not take it along.
			if res, err := proc.Run(t.Context(), sh(`sleep 300 & :`)); err != nil || res.LeftBehind < 1 || !alive(pid) {
				t.Errorf("%+v, %v, alive %v", res, err, alive(pid))
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			await(t, "its end in the process table", func() bool { return syscall.Kill(pid, 0) != nil })
		})
	}
}

// As when a testbed is killed that was started by other means, and its pilots come to be children of this process.
func TestWhatAnotherStarterHasLeftIsNotEndedWithATreeOfOurs(t *testing.T) {
	t.Parallel()
	if res, err := proc.Run(t.Context(), sh(":")); err != nil || res.LeftBehind != 0 { // from here on orphans are our children
		t.Fatalf("%+v, %v", res, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	starter := exec.CommandContext(t.Context(), self)
	starter.Env = []string{nursery + "=stays", "PID_FILE=" + file}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	left := awaitPID(t, file)
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // it was killed
	if res, err := proc.Run(t.Context(), sh(":")); err != nil || res.LeftBehind != 0 || !alive(left) {
		t.Errorf("%+v, %v, alive %v", res, err, alive(left))
	}
	if err := syscall.Kill(left, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestTheGraceIsTheWholeTrees(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The outer shell dies of SIGTERM at once, its child takes a moment.
	c := sh(`sh -c 'trap "sleep 0.2; echo clean >clean; exit" TERM; echo >ready; while :; do sleep 0.01; done' & wait`)
	c.Dir, c.Grace = dir, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p, err := proc.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the child", func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil })
	cancel()
	res, err := p.Wait()
	if err != nil || res.LeftBehind != 0 || res.Signal != "terminated" || res.Wall > 30*time.Second {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "clean")); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnceKeepTheirTreesApart(t *testing.T) {
	t.Parallel()
	var done sync.WaitGroup
	for i := range 40 {
		done.Go(func() {
			out := proc.NewCapture(100, 100)
			c := sh(fmt.Sprintf("setsid sleep 300 & sleep 300 & echo %d; exit %d", i, i))
			c.Stdout = out
			res, err := proc.Run(t.Context(), c)
			// At least its two: on a busy machine one that is just being forked is found too.
			if err != nil || res.ExitCode != i || out.String() != fmt.Sprintf("%d\n", i) || res.LeftBehind < 2 || res.Ended {
				t.Errorf("%d: %+v, %v, %q", i, res, err, out)
			}
		})
	}
	done.Wait()
}

// It is not parallel: beside other trees it would be left alone, because it could be theirs.
func TestWhatDropsItsMarkIsEndedWhenItCanBeNobodyElses(t *testing.T) { //nolint:paralleltest // see above
	file := filepath.Join(t.TempDir(), "pid")
	res, err := proc.Run(t.Context(), sh(fmt.Sprintf(
		`env -i setsid /bin/sh -c 'echo $$ >%[1]s.new; mv %[1]s.new %[1]s; exec /bin/sleep 300' & while ! [ -e %[1]s ]; do sleep 0.01; done`, file)))
	if err != nil || res.LeftBehind != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || alive(pid) {
		t.Errorf("process %s is alive, %v", text, err)
	}
}
