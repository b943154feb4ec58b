//go:build integration

package keeper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/keeper"
)

// frozen makes a group for a process that not even SIGKILL reaches then, as if it hung in a file system.
func frozen(t *testing.T) (dir string) {
	t.Helper()
	dir = "/sys/fs/cgroup/freezer/keeper-test-" + newWord()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no process can be frozen: %v; run it as root, with the freezer of cgroup v1", err)
	}
	t.Cleanup(func() {
		writeTo(t, dir, "freezer.state", "THAWED")
		for errors.Is(os.Remove(dir), syscall.EBUSY) { // until the process is gone
			<-time.After(time.Millisecond)
		}
	})
	return dir
}

func writeTo(t *testing.T, dir, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0); err != nil {
		t.Error(err)
	}
}

// A slot that waited for a process that the kernel holds on to would wait as long as the file system hangs.
func TestIntegrationAProgramThatCannotDieDoesNotHoldUpItsPilot(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dir, k, word := frozen(t), keepers(t, kind), newWord()
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			go func() {
				defer cancel(enough)
				await(t, "the program", func() bool { return len(alive(t, "300."+word)) == 1 })
				writeTo(t, dir, "cgroup.procs", strconv.Itoa(alive(t, "300."+word)[0]))
				writeTo(t, dir, "freezer.state", "FROZEN")
			}()
			res, err := k.Run(ctx, sh("exec sleep 300."+word), keeper.Limits{})
			if err != nil || !errors.Is(res.Stopped, enough) {
				t.Errorf("%+v %v", res, err)
			}
			if len(alive(t, "300."+word)) != 1 {
				t.Error("the process could be killed")
			}
			again, err := k.Run(t.Context(), sh("exit 3"), keeper.Limits{})
			if err != nil || again.ExitCode != 3 {
				t.Errorf("the next program: %+v %v", again, err)
			}
		})
	}
}
