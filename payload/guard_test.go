package payload_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/keeper"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// idlePilot makes the test binary a program that runs, in the folder that follows, a payload that waits for a pipe, and prints how
// that ended. It may do nothing for idleLimit.
const (
	idlePilot = "payload-test-pilot"
	idleLimit = 5 * time.Second
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == idlePilot {
		beIdlePilot(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

func beIdlePilot(dir string) {
	k, err := keeper.New(keeper.Session, 0)
	if err != nil {
		panic(err)
	}
	var meter keeper.Meter
	guard := payload.Program{Spec: payloadfile.Spec{Name: "idle", Limits: payloadfile.Limits{Looping: idleLimit}}}.Guard(dir, &meter)
	res, err := k.Run(context.Background(), proc.Command{
		Path: "/bin/sh", Args: []string{"-c", "echo; read x <pipe; exit 5"}, Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")},
	}, keeper.Limits{Meter: &meter, Check: func() error {
		err := guard.Check()
		_ = os.WriteFile(filepath.Join(dir, "checked"), nil, 0o600)
		return err
	}})
	if err != nil {
		panic(err)
	}
	k.Close()
	_, _ = fmt.Fprintln(os.Stdout, res.ExitCode, res.Stopped)
}

// As a batch system suspends a job: everything of it stops and goes on.
func TestAPayloadThatIsSuspendedWithItsPilotIsNotLooping(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pilot := exec.CommandContext(t.Context(), self, idlePilot, dir)
	pilot.Env, pilot.Stderr = append(os.Environ(), "GORACE=atexit_sleep_ms=0"), os.Stderr
	out, err := pilot.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := pilot.Start(); err != nil {
		t.Fatal(err)
	}
	await := func(name string) {
		for _, err := os.Stat(filepath.Join(dir, name)); err != nil; _, err = os.Stat(filepath.Join(dir, name)) {
			pause(t, 5*time.Millisecond)
		}
	}
	await("checked") // which has seen the beginning
	all := append([]int{pilot.Process.Pid}, proc.Descendants(pilot.Process.Pid)...)
	signal := func(s syscall.Signal) {
		for _, pid := range all {
			_ = syscall.Kill(pid, s)
		}
	}
	signal(syscall.SIGSTOP)
	pause(t, idleLimit+2*time.Second)
	_ = os.Remove(filepath.Join(dir, "checked"))
	signal(syscall.SIGCONT)
	await("checked")
	f, err := os.OpenFile(pipe, os.O_RDWR, 0) // which waits for no reader: it may have been ended
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString("go on\n"); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(out)
	if err != nil || pilot.Wait() != nil || strings.TrimSpace(string(said)) != "5 <nil>" {
		t.Errorf("%q, %v", said, err)
	}
}

// pause lets time pass.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal("the time of the tests is over")
	}
}
