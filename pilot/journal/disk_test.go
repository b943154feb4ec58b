package journal_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"tfpilot/internal/logging"
	"tfpilot/pilot/journal"
)

// limitFiles makes a write fail where a file would grow beyond n bytes, in the middle of a record, as on a full disk.
func limitFiles(t *testing.T, n uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // the write has its error
	lift = func() {
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: math.MaxUint64, Max: math.MaxUint64}))
	}
	t.Cleanup(lift)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: math.MaxUint64}))
	return lift
}

//nolint:paralleltest // the limit is the process's
func TestAFullDiskCostsOnlyWhatCouldNotBeWritten(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Outcome(key("before", 1), true, []byte("result before")))
	lift := limitFiles(t, 150)
	if err := j.Outcome(key("during", 1), true, bytes.Repeat([]byte("x"), 1000)); !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("got %v", err)
	}
	if _, _, ok := j.Find(key("during", 1)); ok {
		t.Error("it answers with what is not on disk")
	}
	if _, _, ok := open(t, killed(t, dir)).Find(key("before", 1)); !ok {
		t.Error("a kill now would lose what was written before")
	}
	lift()
	must(t, j.Outcome(key("after", 1), true, []byte("result after")))
	next := open(t, killed(t, dir))
	for identity, want := range map[string]bool{"before": true, "during": false, "after": true} {
		if _, _, ok := next.Find(key(identity, 1)); ok != want {
			t.Errorf("%s is answered: %v, want %v", identity, ok, want)
		}
	}
	if list := files(t, dir); len(list) != 1 {
		t.Errorf("%v are there", list)
	}
}

func TestAFolderThatVanishedIsMadeAgainWithEverythingHeld(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir)
	must(t, j.Outcome(key("a", 1), true, []byte("result of a")))
	must(t, os.RemoveAll(dir))
	must(t, j.Received(key("b", 1)))
	if _, _, ok := open(t, killed(t, dir)).Find(key("a", 1)); !ok {
		t.Error("the next pilot finds nothing")
	}
}

func TestAFolderThatCannotBeMadeAgainIsAnErrorUntilItCan(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	j := open(t, dir)
	must(t, os.RemoveAll(dir))
	must(t, os.WriteFile(dir, nil, 0o600)) // in its place
	if err := j.Outcome(key("a", 1), true, nil); err == nil {
		t.Error("no error")
	}
	must(t, os.Remove(dir))
	must(t, j.Outcome(key("a", 1), true, []byte("x")))
	if _, _, ok := open(t, killed(t, dir)).Find(key("a", 1)); !ok {
		t.Error("the next pilot finds nothing")
	}
}

// What is held is on disk at every moment, also while a file that has grown is written anew.
func TestAFileIsWrittenAnewWithoutAMomentInWhichItHoldsLess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir)
	must(t, j.Outcome(key("held", 1), true, []byte("x")))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result := make([]byte, 3<<20)
		for i := range 20 {
			_ = j.Outcome(key("a", i+1), true, result)
			j.Drop(key("a", i+1))
		}
	}()
	for n, over := 0, false; !over; n++ {
		select {
		case <-ended:
			over = true
		default:
		}
		if left, whole := snapshot(t, dir); whole {
			next := open(t, left)
			if _, _, ok := next.Find(key("held", 1)); !ok {
				t.Fatalf("lost in snapshot %d", n)
			}
			must(t, next.Close())
		}
	}
	if _, _, ok := open(t, killed(t, dir)).Find(key("held", 1)); !ok {
		t.Error("lost in the end")
	}
}

// snapshot copies a folder; it is not whole when a file went meanwhile.
func snapshot(t *testing.T, dir string) (left string, whole bool) {
	t.Helper()
	left = t.TempDir()
	for _, path := range files(t, dir) {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return left, false
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(left, filepath.Base(path)), b, 0o600))
	}
	return left, true
}

func TestPilotsThatStartTogetherTakeNothingFromEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n = 50
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			j, err := journal.Open(dir, false, logging.Discard())
			if err != nil {
				t.Error(err)
				return
			}
			if err := j.Outcome(key(strconv.Itoa(i), 1), true, []byte("x")); err != nil {
				t.Error(err)
			}
			_ = j.Close() // what it holds stays, for the others that still start too
		})
	}
	all.Wait()
	j := open(t, dir)
	for i := range n {
		if _, _, ok := j.Find(key(strconv.Itoa(i), 1)); !ok {
			t.Errorf("the result of %d is lost", i)
		}
	}
}
