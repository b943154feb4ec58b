package lockfile_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tfpilot/harvester/lockfile"
	"tfpilot/internal/exitcode"
)

// elsewhere is the file of a harvester on another machine, whose kernel's locks do not reach ours.
func elsewhere(t *testing.T, dir string, beat uint64) {
	t.Helper()
	b, err := json.Marshal(lockfile.Owner{Host: "node7", PID: 4711, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Beat: beat})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "owner.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func acquire(t *testing.T, dir string) (*lockfile.Hold, context.Context) {
	t.Helper()
	h, ctx, err := lockfile.Acquire(t.Context(), dir, lockfile.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return h, ctx
}

func TestTheSecondOnAFolderHearsWhoHoldsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h, _ := acquire(t, dir)
		time.Sleep(time.Minute)
		_, _, err := lockfile.Acquire(t.Context(), dir, lockfile.Config{})
		if exitcode.From(err) != exitcode.StateLocked || !strings.Contains(err.Error(), "held by process "+strconv.Itoa(os.Getpid())+" on ") {
			t.Errorf("it says %v", err)
		}
		if o, held, err := lockfile.Holder(dir); !held || err != nil || o.PID != os.Getpid() {
			t.Errorf("%+v, %t, %v", o, held, err)
		}
		h.Release()
		if _, held, err := lockfile.Holder(dir); held || err != nil {
			t.Errorf("after its release: %t, %v", held, err)
		}
		began := time.Now()
		h, _ = acquire(t, dir)
		h.Release()
		if time.Since(began) > 0 {
			t.Error("it waited for one that had left in order")
		}
	})
}

func TestAHolderOnAnotherMachineKeepsItAsLongAsItRenews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		elsewhere(t, dir, 1)
		time.AfterFunc(11*time.Second, func() { elsewhere(t, dir, 2) })
		_, _, err := lockfile.Acquire(t.Context(), dir, lockfile.Config{})
		if exitcode.From(err) != exitcode.StateLocked || !strings.Contains(err.Error(), "process 4711 on node7, since 2026-01-02 03:04:05 UTC") {
			t.Errorf("it says %v", err)
		}
		h, _ := acquire(t, dir) // it renews no longer
		h.Release()
	})
}

func TestWhoeverWaitsCanBeTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		elsewhere(t, dir, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := lockfile.Acquire(ctx, dir, lockfile.Config{}); err == nil {
			t.Error("it has it")
		}
	})
}

func TestOneThatLostItsFolderIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h, held := acquire(t, dir)
		time.Sleep(22 * time.Second) // between two renewals
		if held.Err() != nil {
			t.Fatal(context.Cause(held))
		}
		elsewhere(t, dir, 1) // it had taken us for dead, such as after a long pause
		<-held.Done()
		if err := context.Cause(held); exitcode.From(err) != exitcode.StateLocked || !strings.Contains(err.Error(), "node7") {
			t.Errorf("the cause is %v", err)
		}
		h.Release()
		if o, held, _ := lockfile.Holder(dir); !held || o.Host != "node7" {
			t.Errorf("%+v, %t", o, held)
		}
	})
}

func TestWhoeverOnlyAsksWhoHoldsAFolderHoldsItForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		f, err := os.Create(filepath.Join(dir, "lock"))
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH) // as one that asks on a slow file system
		}
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			_ = f.Close()
		}()
		h, _ := acquire(t, dir)
		h.Release()
	})
}
