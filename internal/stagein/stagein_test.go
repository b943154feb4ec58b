package stagein_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/adler32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/stagein"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// storage is a server with files of a thousand bytes each, at any path, and what was asked of it.
type storage struct {
	url   string
	reads atomic.Int32
	// hold, when not nil, is waited for before anything is sent.
	hold chan struct{}
	// answer, when not nil, is asked first; it says whether it has answered.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func content(path string) []byte { return bytes.Repeat([]byte(path[len(path)-1:]), 1000) }

func newStorage(t *testing.T) *storage {
	t.Helper()
	s := &storage{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			s.reads.Add(1)
			if s.hold != nil {
				<-s.hold
			}
		}
		if s.answer != nil && s.answer(w, r) {
			return
		}
		http.ServeContent(w, r, "f.bin", time.Time{}, bytes.NewReader(content(r.URL.Path)))
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *storage) file(name string) stagein.File { return stagein.File{URL: s.url + "/" + name} }

// newCache is a cache in a folder of its own, unless cfg names one, with room for limit bytes.
func newCache(t *testing.T, limit int64, cfg stagein.Config) (*stagein.Cache, string) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "cache")
	}
	remote, err := rangefile.New(rangefile.Config{HTTPHosts: []string{"127.0.0.1"}, Silence: 5 * time.Second, Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	cfg.LimitBytes, cfg.Remote = limit, remote
	return stagein.New(cfg), cfg.Dir
}

func get(t *testing.T, c *stagein.Cache, f stagein.File) *stagein.Lease {
	t.Helper()
	l, err := c.Get(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// mustFail checks what becomes of a file, and that nothing of it is left.
func mustFail(t *testing.T, c *stagein.Cache, dir string, f stagein.File, want exitcode.Failure, words string) {
	t.Helper()
	_, err := c.Get(t.Context(), f)
	if got := exitcode.From(err); got != want || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %s with %q", got.Name, err, want.Name, words)
	}
	for _, name := range left(t, dir) {
		if name != "room.lock" {
			t.Errorf("left: %s", name)
		}
	}
}

// left is what lies in a cache.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAFileIsFetchedOnceForAllSlotsAndPilots(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	one, dir := newCache(t, 1<<20, stagein.Config{})
	other, _ := newCache(t, 1<<20, stagein.Config{Dir: dir})
	var moved atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			c := []*stagein.Cache{one, other}[i%2]
			l, err := c.Get(t.Context(), s.file("some/x.stf"))
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Release()
			moved.Add(l.MovedBytes)
			if b, err := os.ReadFile(l.Path); err != nil || !bytes.Equal(b, content("x.stf")) || filepath.Base(l.Path) != "x.stf" {
				t.Errorf("%s: %v", l.Path, err)
			}
		})
	}
	all.Wait()
	if s.reads.Load() != 1 || moved.Load() != 1000 {
		t.Errorf("read %d times, %d bytes", s.reads.Load(), moved.Load())
	}
}

func TestTheLeastRecentlyUsedMakesRoomUnlessItIsInUse(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	c, _ := newCache(t, 2500, stagein.Config{})
	a := get(t, c, s.file("a"))
	get(t, c, s.file("b")).Release()
	get(t, c, s.file("c")).Release() // b goes: a is in use
	for name, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if got := c.Has(s.file(name)); got != want {
			t.Errorf("%s is there: %v", name, got)
		}
	}
	held := get(t, c, s.file("c"))
	if err := c.Prefetch(t.Context(), s.file("d")); err != nil || c.Has(s.file("d")) {
		t.Errorf("prefetched without room: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		l, err := c.Get(t.Context(), s.file("d"))
		if err == nil {
			l.Release()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Errorf("did not wait for room: %v", err)
	default:
	}
	a.Release()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if c.Has(s.file("a")) || !c.Has(s.file("c")) {
		t.Error("what was in use went, or what was not stayed")
	}
	held.Release()
}

func TestWhatAKilledPilotLeftIsInNobodysWay(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	c, dir := newCache(t, 1500, stagein.Config{})
	get(t, c, s.file("x")).Release()
	entries, err := filepath.Glob(filepath.Join(dir, "*", "x"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	// As after a kill in the middle of fetching: a part, and a lock that nobody holds.
	if err := os.Rename(entries[0], entries[0]+".part"); err != nil {
		t.Fatal(err)
	}
	get(t, c, s.file("x")).Release() // there is room for one, also for the same one again
	if err := os.Rename(entries[0], entries[0]+".part"); err != nil {
		t.Fatal(err)
	}
	get(t, c, s.file("y")).Release()
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*.part")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	l := get(t, c, s.file("x"))
	defer l.Release()
	if b, err := os.ReadFile(l.Path); err != nil || len(b) != 1000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestWhatIsNotAsItShouldBeIsNoFileAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	c, dir := newCache(t, 1<<20, stagein.Config{})
	right := fmt.Sprintf("%x", adler32.Checksum(content("x")))
	f := s.file("x")
	f.SizeBytes = 999
	mustFail(t, c, dir, f, exitcode.DataCorrupt, "1000 bytes, and should have 999")
	f.SizeBytes, f.Adler32 = 1000, "deadbeef"
	before := s.reads.Load()
	mustFail(t, c, dir, f, exitcode.DataCorrupt, "should have deadbeef")
	if n := s.reads.Load() - before; n != 2 {
		t.Errorf("fetched %d times, want 2", n)
	}
	f.Adler32 = right
	l := get(t, c, f)
	l.Discard()
	if c.Has(f) {
		t.Error("what was discarded is still there")
	}
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.Header().Set("Digest", "adler32=1")
		}
		return false
	}
	mustFail(t, c, dir, s.file("x"), exitcode.DataCorrupt, "should have 00000001")
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusNotFound); return true }
	mustFail(t, c, dir, s.file("x"), exitcode.DataMissing, "404")
	s.answer = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	mustFail(t, c, dir, s.file("x"), exitcode.DataUnreachable, "EOF")
	mustFail(t, c, dir, stagein.File{URL: "https://u:s3cret@h/x"}, exitcode.DataInvalid, "https://h/x")
}

func TestAnAddressThatCannotBeAFileHereLeavesTheOtherFilesAlone(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	c, _ := newCache(t, 1<<20, stagein.Config{})
	get(t, c, s.file("x")).Release()
	for _, name := range []string{"some/.", "some/", "some/%2e", "some/..", "", strings.Repeat("x", 251)} {
		if _, err := c.Get(t.Context(), s.file(name)); exitcode.From(err) != exitcode.DataInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !c.Has(s.file("x")) {
		t.Error("another file of the cache is gone")
	}
	get(t, c, s.file(strings.Repeat("x", 250))).Release()
}

func TestWhatIsDiscardedGoesWhileProcessesAreStarted(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	c, dir := newCache(t, 1<<20, stagein.Config{})
	l := get(t, c, s.file("x"))
	// A child has all our files until it has become another program.
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	children := 0
	for _, e := range open {
		if name, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(name, dir+"/") {
			n, err := strconv.Atoi(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			child, err := unix.Dup(n)
			if err != nil {
				t.Fatal(err)
			}
			children++
			defer func() { _ = unix.Close(child) }()
		}
	}
	l.Discard()
	if children == 0 || c.Has(s.file("x")) {
		t.Errorf("with %d files of children it is there: %v", children, c.Has(s.file("x")))
	}
}

func TestAFileThatIsLargerThanTheCacheIsRefused(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	c, dir := newCache(t, 900, stagein.Config{})
	mustFail(t, c, dir, s.file("x"), exitcode.SiteNoSpace, "1000 bytes are more than the input cache may hold")
}

func TestAFolderThatIsNotOursIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil { //nolint:gosec // that is the case
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for dir, words := range map[string]string{open: "can be written by others", file: "not a directory", link: "is no folder", "/proc/none": "making the input cache"} {
		c, _ := newCache(t, 1<<20, stagein.Config{Dir: dir})
		_, err := c.Get(t.Context(), s.file("x"))
		if exitcode.From(err) != exitcode.SiteNoSpace || !strings.Contains(err.Error(), words) || !strings.Contains(exitcode.Next(err), "--input-cache") {
			t.Errorf("%s: %v (%s)", dir, err, exitcode.Next(err))
		}
	}
}

func TestFetchingEndsWithItsContextAndItsTime(t *testing.T) {
	t.Parallel()
	s := newStorage(t)
	s.hold = make(chan struct{})
	defer close(s.hold)
	c, dir := newCache(t, 1<<20, stagein.Config{Timeout: 100 * time.Millisecond})
	mustFail(t, c, dir, s.file("x"), exitcode.DataUnreachable, "the time for fetching it is over (100ms)")
	c, dir = newCache(t, 1<<20, stagein.Config{})
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	if _, err := c.Get(ctx, s.file("x")); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if names := left(t, dir); len(names) > 1 {
		t.Errorf("left: %v", names)
	}
}

func TestSlicesOfAFileAreCountedForTheWholeNode(t *testing.T) {
	t.Parallel()
	one, dir := newCache(t, 1<<20, stagein.Config{})
	other, _ := newCache(t, 1<<20, stagein.Config{Dir: dir})
	f := stagein.File{URL: "https://h/x"}
	for want, c := range []*stagein.Cache{one, other, one} {
		if got := c.Seen(f); got != want+1 {
			t.Errorf("%d, want %d", got, want+1)
		}
	}
	if got := one.Seen(stagein.File{URL: "https://h/y"}); got != 1 {
		t.Errorf("of another file: %d", got)
	}
}
