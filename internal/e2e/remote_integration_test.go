//go:build integration

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/xrootdtest"
)

// remoteFile is a file of 1000 frames on a server with tokens, and the options with which it may be read.
func remoteFile(t *testing.T) (s *xrootdtest.Server, options []string, sizeBytes int64) {
	t.Helper()
	s = xrootdtest.Start(t, xrootdtest.Token)
	dir := t.TempDir()
	if status, _, stderr := tool(t, "daq", "generate", "--stf-count", "1", "--frames", "1000", "--data", dir); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	data, err := os.ReadFile(filepath.Join(dir, "swf.100001.000001.stf"))
	must(t, err)
	s.Put(t, "x.stf", data)
	return s, []string{
		"--input-ca-dir", s.CADir(), "--input-token-file", filepath.Join(s.Dir, "token"), "--work-dir", t.TempDir(), "--output", "json",
	}, int64(len(data))
}

// remoteSlice is the report on frames of a file.
type remoteSlice struct {
	Failure *struct{ Name string }
	Counts  map[string]int64
	Input   struct {
		How        string
		MovedBytes int64 `json:"moved_bytes"`
	}
	Stderr string
}

func runSlice(t *testing.T, options []string, url string, first, last int) (r remoteSlice) {
	t.Helper()
	status, stdout, stderr := tool(t, "wrapper", append([]string{"run", "--input", url, "--first", strconv.Itoa(first), "--last", strconv.Itoa(last)}, options...)...)
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("status %d: %v: %s", status, err, stderr)
	}
	return r
}

func TestIntegrationASliceOverRangesMovesLittleMoreThanItsBytes(t *testing.T) {
	t.Parallel()
	s, options, size := remoteFile(t)
	for _, first := range []int{0, 462, 934} { // of fifteen slices of 66 frames
		r := runSlice(t, append(options, "--input-stage-after", "99"), s.HTTP("x.stf"), first, first+65)
		found := regexp.MustCompile(` bytes=(\d+) .* requests=(\d+)`).FindStringSubmatch(r.Stderr)
		if r.Failure != nil || r.Counts["frames"] != 66 || r.Input.How != "remote" || found == nil {
			t.Fatalf("%+v", r)
		}
		moved, err := strconv.ParseInt(found[1], 10, 64)
		must(t, err)
		own := size * 66 / 1000
		t.Logf("frames from %d: %d of %d bytes, %.2f times its own, in %s requests", first, moved, size, float64(moved)/float64(own), found[2])
		if moved > 2*own {
			t.Errorf("frames from %d moved %d bytes, more than twice %d", first, moved, own)
		}
	}
}

func TestIntegrationAFileIsFetchedOncePerNodeByManyPilots(t *testing.T) {
	t.Parallel()
	s, options, size := remoteFile(t)
	for _, url := range []string{s.Root("x.stf"), s.HTTP("x.stf")} {
		cache := filepath.Join(t.TempDir(), "cache")
		var all sync.WaitGroup
		var mu sync.Mutex
		var moved int64
		for i := range 4 {
			all.Go(func() {
				r := runSlice(t, append([]string{"--input-cache", cache, "--input-stage-after", "1"}, options...), url, 10*i, 10*i+9)
				mu.Lock()
				defer mu.Unlock()
				moved += r.Input.MovedBytes
				if r.Failure != nil || r.Counts["frames"] != 10 {
					t.Errorf("%+v", r)
				}
			})
		}
		all.Wait()
		if moved != size {
			t.Errorf("%s: moved %d bytes of a file of %d", url, moved, size)
		}
	}
}

func TestIntegrationASliceFinishesThoughItsServerIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	s, options, _ := remoteFile(t)
	for _, c := range []struct{ url, after string }{{s.HTTP("x.stf"), "99"}, {s.HTTP("x.stf"), "1"}, {s.Root("x.stf"), "1"}} {
		s.Kill()
		back := make(chan struct{})
		timer := time.AfterFunc(5*time.Second, func() { defer close(back); s.Restart(t) })
		defer timer.Stop()
		r := runSlice(t, append([]string{"--input-cache", filepath.Join(t.TempDir(), "cache"), "--input-stage-after", c.after}, options...), c.url, 0, 65)
		<-back
		if r.Failure != nil || r.Counts["frames"] != 66 {
			t.Errorf("%s: %+v", c.url, r)
		}
	}
}

func TestIntegrationAPayloadThatReadsFromABadServerSaysWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	s, options, size := remoteFile(t)
	data, err := os.ReadFile(filepath.Join(s.Export, "x.stf"))
	must(t, err)
	s.Put(t, "short.stf", data[:size/2])
	s.Put(t, "page.stf", []byte("<html>please log in</html>"))
	for name, want := range map[string]exitcode.Failure{"short.stf": exitcode.DataCorrupt, "page.stf": exitcode.DataCorrupt, "none.stf": exitcode.DataMissing} {
		for _, url := range []string{s.HTTP(name), s.Root(name)} {
			if r := runSlice(t, options, url, 0, 65); r.Failure == nil || r.Failure.Name != want.Name {
				t.Errorf("%s: %s", url, fmt.Sprintf("%+v", r))
			}
		}
	}
}
