package cgroup_test

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/cgroup"
)

// owner makes the test binary a program that makes a group with a process in it, says that it has, and waits to be killed.
const owner = "CGROUP_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(owner) == "" {
		m.Run()
		return
	}
	g, err := cgroup.Make(0)
	if err != nil {
		panic(err)
	}
	sleep := exec.CommandContext(context.Background(), "/bin/sleep", "300")
	if err := sleep.Start(); err != nil {
		panic(err)
	}
	if err := g.Add(sleep.Process.Pid); err != nil {
		panic(err)
	}
	if _, err := os.Stdout.WriteString(strconv.Itoa(sleep.Process.Pid) + "\n"); err != nil {
		panic(err)
	}
	_ = sleep.Wait()
}

// A group of its own, where the node lets us make one.
func group(t *testing.T, memory int64) *cgroup.Group {
	t.Helper()
	g, err := cgroup.Make(memory)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestKillEndsAllThatIsInAGroupAndNothingElse(t *testing.T) {
	t.Parallel()
	g, other := group(t, 0), group(t, 0)
	start := func(g *cgroup.Group) *exec.Cmd {
		// It waits for its stdin, so that all of it is started in the group.
		c := exec.CommandContext(t.Context(), "/bin/sh", "-c", "read x; trap '' TERM; setsid sleep 300 & env -i setsid sleep 300 & echo; wait")
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if err := g.Add(c.Process.Pid); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	mine, theirs := start(g), start(other)
	g.Kill()
	_ = mine.Wait()
	if status, ok := mine.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %s", mine.ProcessState)
	}
	if err := theirs.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other one: %v", err)
	}
	other.Kill()
	_ = theirs.Wait()
}

func TestWhatAKilledOwnerLeftIsEndedByTheNext(t *testing.T) {
	t.Parallel()
	group(t, 0) // where there is none, there is nothing to be left
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func() (c *exec.Cmd, sleep int) {
		c = exec.CommandContext(t.Context(), self)
		c.Env, c.Stderr = append(os.Environ(), owner+"=yes", "GORACE=atexit_sleep_ms=0"), os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 20)
		n, err := out.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if sleep, err = strconv.Atoi(strings.TrimSpace(string(b[:n]))); err != nil {
			t.Fatal(err)
		}
		return c, sleep
	}
	end := func(c *exec.Cmd) {
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
	}
	alive := func(pid int) bool {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err == nil && !strings.Contains(string(b), ") Z ")
	}
	first, left := start()
	end(first)
	if !alive(left) {
		t.Fatal("nothing is left")
	}
	second, kept := start()
	if alive(left) {
		t.Error("what was left is alive")
	}
	third, last := start()
	if !alive(kept) {
		t.Error("a process of a living owner was ended")
	}
	end(second)
	end(third)
	for _, pid := range []int{kept, last} {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestOwnKillsAreCountedOrZero(t *testing.T) {
	t.Parallel()
	if n := cgroup.OwnOOMKills(); n < 0 {
		t.Errorf("%d", n)
	}
}
