package proc_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

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
				for {
					if _, err := os.Stat(ready); err == nil {
						break
					}
					select {
					case <-time.After(5 * time.Millisecond):
					case <-t.Context().Done():
						t.Fatal("not ready")
					}
				}
				cancel2 := cancel
				if ending == "context" {
					cancel2()
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
						t.Errorf("process %d is alive", pid)
					}
				}
			})
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
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
