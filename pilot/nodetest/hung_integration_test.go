//go:build integration

package nodetest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/fitness"
	"tfpilot/pilot/nodetest"
)

// hung mounts a file system whose server takes questions and answers none: whoever asks it can not even be killed. end is the
// server's death, which frees them.
func hung(t *testing.T) (dir string, end func()) {
	t.Helper()
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		cannot(t, err)
	}
	dir = t.TempDir()
	if err := syscall.Mount("tfpilot-hung", dir, "fuse", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		_ = syscall.Close(fd)
		cannot(t, err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		const initialise = 26
		for question := make([]byte, 1<<20); ; {
			n, err := syscall.Read(fd, question)
			if errors.Is(err, syscall.ENOENT) {
				continue // a question that was taken back
			}
			if err != nil {
				return // ENODEV: the end
			}
			if n < 16 || binary.NativeEndian.Uint32(question[4:]) != initialise {
				continue
			}
			answer := make([]byte, 16+64) // fuse_out_header and fuse_init_out: version 7.31, sizes of 64 KiB
			binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
			copy(answer[8:16], question[8:16])
			for at, value := range map[int]uint32{16: 7, 20: 31, 24: 1 << 16, 36: 1 << 16} {
				binary.NativeEndian.PutUint32(answer[at:], value)
			}
			if _, err := syscall.Write(fd, answer); err != nil {
				return
			}
		}
	}()
	end = sync.OnceFunc(func() {
		if err := syscall.Unmount(dir, syscall.MNT_FORCE|syscall.MNT_DETACH); err != nil { // what is asked is answered by an error then
			t.Error(err)
		}
		<-served
		_ = syscall.Close(fd)
	})
	t.Cleanup(end)
	return dir, end
}

// cannot skips where the right to mount is missing: a FIFO stands in for such a file system in the other tests.
func cannot(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	t.Skipf("no file system of our own can be mounted: %v; run it as root, with /dev/fuse", err)
}

func TestIntegrationAFileSystemInWhichAProcessCannotBeKilledIsAResultToo(t *testing.T) { //nolint:paralleltest // it counts children
	dir, end := hung(t)
	repository := t.TempDir()
	must(t, os.WriteFile(filepath.Join(repository, "file"), nil, 0o600))
	tests := newTests(t, nodetest.Config{Limit: aMoment, CVMFS: []string{repository}}, func(p *nodetest.Places) {
		p.WorkDir = filepath.Join(dir, "work")
	})
	examine := func() {
		found := byName(tests.Test(t.Context(), true))
		if f := found["work_dir"]; f.Verdict != fitness.Bad || !strings.Contains(f.Found, "the file system hangs") {
			t.Errorf("%+v", f)
		}
		if f := found["cvmfs"]; f.Verdict != fitness.OK {
			t.Errorf("%+v", f)
		}
	}
	examine()
	hanging := children(t)
	examine()
	if again := children(t); len(hanging) != 1 || len(again) != 1 || again[0] != hanging[0] {
		t.Errorf("children that hang: %v, then %v; there should be one", hanging, again)
	}
	end()
	for deadline := time.Now().Add(30 * time.Second); len(children(t)) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%v are left", children(t))
		}
		tests.Test(t.Context(), true)
	}
}

// children are the children of this process that are dead or hang, by their ids.
func children(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	must(t, err)
	var pids []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has just ended
		}
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}
