package keeper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/proc"
	"tfpilot/internal/testkit"
)

var await = testkit.Await

// pilot makes the test binary a program that runs the script in its environment, until SIGTERM, when its stdin has ended, and
// prints the result.
const pilot = "KEEPER_TEST_PILOT"

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(holds)); err == nil {
		hold(n)
	}
	c := os.Getenv(pilot)
	if c == "" {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		panic(err)
	}
	k, err := keeper.New(keeper.Containment(c), 0)
	if err != nil {
		panic(err)
	}
	command := sh(os.Getenv("SCRIPT"))
	command.Grace = 50 * time.Millisecond
	limit, _ := time.ParseDuration(os.Getenv("LIMIT"))
	res, err := k.Run(ctx, command, keeper.Limits{Time: limit})
	if err != nil {
		panic(err)
	}
	k.Close()
	res.Stopped = nil // an interface, which does not come back from JSON
	if err := json.NewEncoder(os.Stdout).Encode(res); err != nil {
		panic(err)
	}
}

// startPilot starts one.
func startPilot(t *testing.T, c keeper.Containment, script string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.CommandContext(t.Context(), self)
	p.Env = append(os.Environ(), pilot+"="+string(c), "SCRIPT="+script, "GORACE=atexit_sleep_ms=0")
	p.Env = append(p.Env, env...)
	p.Stderr = os.Stderr
	return p
}

func sh(script string) proc.Command {
	return proc.Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Grace: time.Second}
}

var kinds = []keeper.Containment{keeper.Namespace, keeper.Cgroup, keeper.Session}

// keepers of a kind. What the node does not allow is left out; a session is allowed everywhere.
func keepers(t *testing.T, c keeper.Containment) *keeper.Keepers {
	t.Helper()
	k, err := keeper.New(c, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	used, _, err := k.Containment(t.Context())
	if err != nil && c != keeper.Session {
		t.Skip(err)
	}
	if err != nil || used != c {
		t.Fatal(used, err)
	}
	return k
}

// newWord is a fraction of a second that no other test sleeps.
func newWord() string { return strconv.FormatUint(rand.Uint64()|1<<63, 10) }

// alive are the processes with a word in their arguments: whatever they dropped, they keep that.
func alive(t *testing.T, word string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, []byte(word)) {
			if _, ok := proc.Look(pid); ok {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func TestOutputExitCodeAndUsageComeBack(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			for i := range 3 {
				out, errs := proc.NewCapture(100, 100), proc.NewCapture(100, 100)
				c := sh("read x; echo got $x; echo oops >&2; exit " + strconv.Itoa(i))
				c.Stdin, c.Stdout, c.Stderr = strings.NewReader("input\n"), out, errs
				res, err := k.Run(t.Context(), c, keeper.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if res.ExitCode != i || out.String() != "got input\n" || errs.String() != "oops\n" || res.MaxRSSBytes == 0 || res.PeakBytes == 0 ||
					res.Processes < 1 || res.Stopped != nil || res.LeftBehind != 0 {
					t.Errorf("%+v %q %q", res, out, errs)
				}
			}
		})
	}
}

// Paths and values need not be UTF-8.
func TestWhatIsHandedToAProgramArrivesAsItIs(t *testing.T) {
	t.Parallel()
	const odd = "\xff\xfe <&> \u2028 \"x\""
	dir := filepath.Join(t.TempDir(), "d\xff")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out := proc.NewCapture(1000, 0)
	c := sh(`printf '%s|%s|' "$ODD" "$1"; pwd`)
	c.Args, c.Env, c.Dir, c.Stdout = append(c.Args, "sh", odd), append(c.Env, "ODD="+odd), dir, out
	res, err := keepers(t, keeper.Session).Run(t.Context(), c, keeper.Limits{})
	if err != nil || res.ExitCode != 0 || out.String() != odd+"|"+odd+"|"+dir+"\n" {
		t.Errorf("%q, %+v, %v", out, res, err)
	}
}

func TestAKeeperThatIsKilledWhileItIsIdleIsReplaced(t *testing.T) {
	t.Parallel()
	k := keepers(t, keeper.Session)
	for range 2 {
		out := proc.NewCapture(100, 0)
		c := sh("read x; echo $x $PPID")
		c.Stdin, c.Stdout = bytes.NewReader([]byte("in\n")), out
		res, err := k.Run(t.Context(), c, keeper.Limits{})
		text, pid, ok := strings.Cut(strings.TrimSpace(out.String()), " ")
		if err != nil || res.ExitCode != 0 || !ok || text != "in" {
			t.Fatalf("%q, %+v, %v", out, res, err)
		}
		id, err := strconv.Atoi(pid)
		if err != nil || id <= 1 {
			t.Fatal(pid, err)
		}
		if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "its end", func() bool { return syscall.Kill(id, 0) != nil })
	}
}

func TestASignalIsNamed(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			for script, want := range map[string]string{"kill -SEGV $$": "segmentation fault", "kill -KILL $$": "killed", "kill -TERM $$": "terminated"} {
				res, err := k.Run(t.Context(), sh(script), keeper.Limits{})
				if err != nil || res.Signal != want || res.ExitCode != -1 || res.Ended || res.OutOfMemory {
					t.Errorf("%s: %+v, %v", script, res, err)
				}
			}
		})
	}
}

// What a program sees: itself as the user that the pilot is, its processes under their ids, signals as they are by default, no
// more rights than before, and nothing of the keeper's.
func TestAProgramFindsItsUsualSurroundings(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			out := proc.NewCapture(1000, 0)
			c := sh(`id -u; id -g; test -d /proc/$$/fd && readlink /proc/self/cwd; grep -E '^(CapEff|SigIgn|SigBlk):' /proc/self/status
			ls /proc/self/fd | tr '\n' ' '; echo; env | grep -v ^PATH= | cut -d= -f1 | sort | tr '\n' ' '`)
			c.Dir, c.Stdout = "/", out
			if _, err := k.Run(t.Context(), c, keeper.Limits{}); err != nil {
				t.Fatal(err)
			}
			var direct bytes.Buffer
			cmd := exec.CommandContext(t.Context(), c.Path, c.Args...)
			cmd.Dir, cmd.Env, cmd.Stdout = c.Dir, append([]string{proc.Mark + "=x"}, c.Env...), &direct
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			want := heedsHangUp(t, direct.String())
			if out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", out, want)
			}
		})
	}
}

// heedsHangUp is the status of a process that does not ignore SIGHUP, as those do whose parents were started by nohup.
func heedsHangUp(t *testing.T, status string) string {
	t.Helper()
	const key = "SigIgn:\t"
	before, rest, _ := strings.Cut(status, key)
	mask, after, _ := strings.Cut(rest, "\n")
	signals, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s%s%016x\n%s", before, key, signals&^1, after)
}

func TestTheGraceIsTheWholeTrees(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			dir := t.TempDir()
			// The outer shell dies of SIGTERM at once, its child takes a moment.
			c := sh(`sh -c 'trap "sleep 0.2; echo clean >clean; exit" TERM; echo >ready; while :; do sleep 0.01; done' & wait`)
			c.Dir, c.Grace = dir, time.Minute
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				await(t, "the child", func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil })
				cancel()
			}()
			res, err := k.Run(ctx, c, keeper.Limits{})
			if err != nil || res.LeftBehind != 0 || res.Signal != "terminated" || !res.Ended || res.Wall > 30*time.Second {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "clean")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestManyAtOnceKeepTheirTreesApart(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			var done sync.WaitGroup
			for slot := range 6 {
				done.Go(func() {
					for n := range 5 {
						code := slot*5 + n
						res, err := k.Run(t.Context(), sh("env -i setsid sleep 300 & sleep 300 & exit "+strconv.Itoa(code)), keeper.Limits{})
						if err != nil || res.ExitCode != code || res.LeftBehind != 2 || res.Ended {
							t.Errorf("%d: %+v, %v", code, res, err)
						}
					}
				})
			}
			done.Wait()
		})
	}
}

func TestAProgramThatDoesNotStartIsTheSitesFault(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			k := keepers(t, kind)
			notExecutable := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(notExecutable, []byte("no program"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/no/such/program", "/etc/passwd", "no-such-program", notExecutable} {
				_, err := k.Run(t.Context(), proc.Command{Path: path}, keeper.Limits{})
				if got := exitcode.From(err); got != exitcode.SiteNoProgram || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: %s: %v", path, got.Name, err)
				}
			}
			if res, err := k.Run(t.Context(), sh("exit 3"), keeper.Limits{}); err != nil || res.ExitCode != 3 {
				t.Errorf("the next program: %+v, %v", res, err)
			}
		})
	}
}

func TestAnUnknownContainmentIsWrongUse(t *testing.T) {
	t.Parallel()
	if _, err := keeper.New("jail", 0); exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), "auto, namespace, cgroup, session") {
		t.Error(err)
	}
}
