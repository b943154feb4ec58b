package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tfpilot/internal/seglog"
	"tfpilot/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open reads a log; it is closed when the test ends, if it was not.
func open(t *testing.T, dir string, o seglog.Options) (*seglog.Log, []string) {
	t.Helper()
	l, got, err := tryOpen(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, got
}

func tryOpen(dir string, o seglog.Options) (*seglog.Log, []string, error) {
	var got []string
	l, err := seglog.Open(dir, o, func(_ uint64, record []byte) error {
		got = append(got, string(record))
		return nil
	})
	return l, got, err
}

// add appends records, each in a block of its own.
func add(t *testing.T, l *seglog.Log, records ...string) {
	t.Helper()
	for _, r := range records {
		_, serial := l.Append([]byte(r))
		wait(t, l, serial)
	}
}

// wait returns when a record is on disk.
func wait(t *testing.T, l *seglog.Log, serial uint64) {
	t.Helper()
	for {
		synced, changed := l.Progress()
		if synced >= serial {
			return
		}
		select {
		case <-changed:
		case <-time.After(testkit.Patience):
			t.Fatal("the log does not get on")
		}
		if err := l.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// crashed is a folder as a process that was killed leaves it: the records of a log that is not closed.
func crashed(t *testing.T, o seglog.Options, records ...string) string {
	t.Helper()
	from := t.TempDir()
	l, _ := open(t, from, o)
	add(t, l, records...)
	return copied(t, from)
}

func copied(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files(t, from) {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhatWasAppendedIsReadInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var want []string
	for round := range 3 {
		l, got := open(t, dir, seglog.Options{SegmentBytes: 200})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		for i := range 20 {
			want = append(want, strings.Repeat(fmt.Sprint(round, i, " "), i))
			l.Append([]byte(want[len(want)-1]))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(files(t, dir)); n < 3 {
		t.Errorf("%d segments", n)
	}
}

// A crash may leave any beginning of what was written: what was synced before is there, and nothing else.
func TestALogThatIsCutAnywhereHasEveryWholeBlock(t *testing.T) {
	t.Parallel()
	records := []string{"one", "two and more", "", "four"}
	dir := crashed(t, seglog.Options{}, records...)
	name := files(t, dir)[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for n := len(whole); n >= 0; n-- {
		cut := t.TempDir()
		if err := os.WriteFile(filepath.Join(cut, filepath.Base(name)), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		l, got := open(t, cut, seglog.Options{})
		if diff := cmp.Diff(records[:len(got)], got, emptyIsNil); diff != "" {
			t.Fatalf("cut at %d: %s", n, diff)
		}
		count = max(count, len(got))
		add(t, l, "after")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, again := open(t, cut, seglog.Options{}); len(again) != len(got)+1 || again[len(got)] != "after" {
			t.Fatalf("cut at %d: %q, then %q", n, got, again)
		}
	}
	if count != len(records) {
		t.Errorf("%d records of the whole log", count)
	}
}

var emptyIsNil = cmp.Transformer("", func(s []string) string { return strings.Join(s, "|") })

// Of a log that was closed no byte may change unnoticed; of one that was not, none but those of its last block.
func TestAByteThatChangedIsReportedWithItsPlace(t *testing.T) {
	t.Parallel()
	o := seglog.Options{SegmentBytes: 100}
	dir := t.TempDir()
	l, _ := open(t, dir, o)
	add(t, l, "first", strings.Repeat("second", 20), "third", "fourth")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, name := range files(t, dir) {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		end := len(whole)
		if i == len(files(t, dir))-1 {
			end -= 12 // the end itself
		}
		for at := range end {
			bad := copied(t, dir)
			b := bytes.Clone(whole)
			b[at] ^= 0x20
			if err := os.WriteFile(filepath.Join(bad, filepath.Base(name)), b, 0o600); err != nil {
				t.Fatal(err)
			}
			l, _, err := tryOpen(bad, o)
			if !errors.Is(err, seglog.ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(name)) || !strings.Contains(err.Error(), "offset") {
				t.Fatalf("%s, byte %d: %v", filepath.Base(name), at, err)
			}
			if l != nil {
				t.Fatal("it is open")
			}
		}
	}
}

func TestASegmentThatIsShorterOrMissingIsReported(t *testing.T) {
	t.Parallel()
	o := seglog.Options{SegmentBytes: 60}
	from := crashed(t, o, "first", "second", "third", "fourth", "fifth", "sixth")
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"shorter": func(path string) error { return os.Truncate(path, 36) },
	} {
		dir := copied(t, from)
		if len(files(t, dir)) < 3 {
			t.Fatal("too few segments")
		}
		if err := spoil(files(t, dir)[1]); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tryOpen(dir, o); !errors.Is(err, seglog.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALogOfALaterVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := crashed(t, seglog.Options{Version: 3}, "x")
	if _, _, err := tryOpen(dir, seglog.Options{Version: 2}); !errors.Is(err, seglog.ErrNewer) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("got %v", err)
	}
	if _, got := open(t, dir, seglog.Options{Version: 4}); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

func TestARecordThatNobodyUnderstandsIsReportedWithItsPlace(t *testing.T) {
	t.Parallel()
	dir := crashed(t, seglog.Options{}, "x")
	_, err := seglog.Open(dir, seglog.Options{}, func(uint64, []byte) error { return errors.New("what is x") })
	if !errors.Is(err, seglog.ErrDamaged) || !strings.Contains(err.Error(), "what is x") {
		t.Errorf("got %v", err)
	}
}

func TestSegmentsAreFreedWhenWhatReplacesThemIsOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := open(t, dir, seglog.Options{SegmentBytes: 60})
	add(t, l, "first", "second", "third", "fourth", "fifth")
	before := len(files(t, dir))
	number, serial := l.Append([]byte("first again"))
	l.Free(number)
	if l.Oldest() != number || l.Newest() != number {
		t.Errorf("%d to %d", l.Oldest(), l.Newest())
	}
	wait(t, l, serial)
	add(t, l, "more")
	if got := files(t, dir); len(got) >= before {
		t.Errorf("%d segments, then %d", before, len(got))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, dir, seglog.Options{}); !cmp.Equal(got, []string{"fifth", "first again", "more"}) { // the fifth is in that segment
		t.Errorf("got %q", got)
	}
}

// Otherwise the segments behind it would go, and the log would be taken for damaged.
func TestASegmentThatCouldNotBeRemovedLeavesNoGap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, _ := open(t, dir, seglog.Options{SegmentBytes: 60})
	add(t, l, "first", "second", "third", "fourth")
	oldest := files(t, dir)[0]
	aside := oldest + ".aside"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(oldest, aside))
	must(os.MkdirAll(filepath.Join(oldest, "in the way"), 0o700))
	l.Free(l.Newest())
	add(t, l, "fifth", "sixth", "seventh")
	must(os.RemoveAll(oldest))
	must(os.Rename(aside, oldest))
	l.Free(l.Newest())
	add(t, l, "last")
	must(l.Close())
	_, got := open(t, dir, seglog.Options{})
	if n := len(got); n == 0 || n > 3 || got[n-1] != "last" {
		t.Errorf("got %q", got)
	}
}

// While the first block is written the others gather: they share a sync.
func TestRecordsShareASync(t *testing.T) {
	t.Parallel()
	writes, held, release := atomic.Int32{}, make(chan struct{}), make(chan struct{})
	l, _ := open(t, t.TempDir(), seglog.Options{Disk: func(n int64) error {
		if n < 1000 && n != 36 && writes.Add(1) == 1 {
			close(held)
			<-release
		}
		return nil
	}})
	l.Append([]byte("0"))
	<-held
	var serial uint64
	for i := range 20 {
		_, serial = l.Append(fmt.Append(nil, i))
	}
	if synced, _ := l.Progress(); synced != 0 {
		t.Errorf("%d are said to be on disk", synced)
	}
	close(release)
	wait(t, l, serial)
	if n := writes.Load(); n != 2 {
		t.Errorf("%d writes", n)
	}
}

func TestAFullDiskIsWaitedOut(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	dir := t.TempDir()
	l, _ := open(t, dir, seglog.Options{Disk: func(n int64) error {
		// What the reserve gives up is enough for a record, not for another reserve.
		if _, err := os.Stat(filepath.Join(dir, "reserve")); full.Load() && (err == nil || n > 1<<20) {
			return syscall.ENOSPC
		}
		return nil
	}})
	add(t, l, "before")
	full.Store(true)
	add(t, l, "while it is full")
	if err := l.Full(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	full.Store(false)
	add(t, l, "after")
	if l.Full() != nil || l.Err() != nil {
		t.Errorf("%v, %v", l.Full(), l.Err())
	}
}

// The log must not go on after an error of which it is not known what it left on the disk.
func TestAnyOtherErrorOfTheDiskEndsTheLog(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	dir := t.TempDir()
	l, _ := open(t, dir, seglog.Options{Disk: func(int64) error {
		if broken.Load() {
			return syscall.EIO
		}
		return nil
	}})
	add(t, l, "before")
	broken.Store(true)
	_, serial := l.Append([]byte("lost"))
	<-l.Failed()
	if synced, _ := l.Progress(); synced >= serial || !errors.Is(l.Err(), syscall.EIO) {
		t.Errorf("%d, %v", synced, l.Err())
	}
	l.Wait(nil)
	if err := l.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if _, got := open(t, copied(t, dir), seglog.Options{}); !cmp.Equal(got, []string{"before"}) {
		t.Errorf("got %q", got)
	}
}

func TestWhoAppendsTooFastWaits(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	l, _ := open(t, t.TempDir(), seglog.Options{BacklogBytes: 100, Disk: func(n int64) error {
		if n < 1000 {
			<-release
		}
		return nil
	}})
	l.Append(make([]byte, 200))
	done := make(chan struct{})
	waited := make(chan struct{})
	go func() {
		l.Wait(done)
		close(waited)
	}()
	select {
	case <-waited:
		t.Error("it does not wait")
	default:
	}
	close(release)
	<-waited
	l.Wait(done)
}
