//go:build integration

package stagein_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"hash/adler32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stagein"
	"tfpilot/internal/testkit"
	"tfpilot/internal/xrootdtest"
)

// served starts a server with a file of 20 MB, and a cache that may read it.
func served(t *testing.T, mode xrootdtest.Mode) (s *xrootdtest.Server, c *stagein.Cache, dir string, data []byte) {
	t.Helper()
	s = xrootdtest.Start(t, mode)
	data = make([]byte, 20<<20)
	_, _ = rand.Read(data)
	s.Put(t, "data/f", data)
	x := stagein.XRootD{Program: "xrdcp", Silence: 5 * time.Second}
	if mode == xrootdtest.Token {
		x.CADir, x.TokenFile = s.CADir(), filepath.Join(s.Dir, "token")
	}
	c, dir = newCache(t, 1<<30, stagein.Config{XRootD: x, Patience: testkit.Patience})
	return s, c, dir, data
}

func TestIntegrationXrdcpFillsTheCacheOnceForAll(t *testing.T) {
	t.Parallel()
	for _, mode := range []xrootdtest.Mode{xrootdtest.Anonymous, xrootdtest.Unix, xrootdtest.Token} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, c, _, data := served(t, mode)
			var all sync.WaitGroup
			var mu sync.Mutex
			var moved int64
			for range 4 {
				all.Go(func() {
					l, err := c.Get(t.Context(), stagein.File{URL: s.Root("data/f")})
					if err != nil {
						t.Error(err)
						return
					}
					defer l.Release()
					if b, err := os.ReadFile(l.Path); err != nil || !bytes.Equal(b, data) {
						t.Errorf("%d bytes, %v", len(b), err)
					}
					mu.Lock()
					moved += l.MovedBytes
					mu.Unlock()
				})
			}
			all.Wait()
			if moved != int64(len(data)) {
				t.Errorf("%d bytes moved", moved)
			}
		})
	}
}

func TestIntegrationWhatXRootDRefusesHasItsPlace(t *testing.T) {
	t.Parallel()
	s, c, dir, data := served(t, xrootdtest.Token)
	mustFail(t, c, dir, stagein.File{URL: s.Root("data/none")}, exitcode.DataMissing, "3011")
	mustFail(t, c, dir, stagein.File{URL: s.Root("data/f"), SizeBytes: int64(len(data)), Adler32: "1"}, exitcode.DataCorrupt,
		fmt.Sprintf("%08x, and should have 00000001", adler32.Checksum(data)))
	for what, change := range map[string]func(x *stagein.XRootD){
		"expired":   func(x *stagein.XRootD) { x.TokenFile = s.Token(t, "read:/", -time.Minute, "") },
		"elsewhere": func(x *stagein.XRootD) { x.TokenFile = s.Token(t, "read:/other", time.Hour, "") },
	} {
		x := stagein.XRootD{Program: "xrdcp", CADir: s.CADir(), Silence: 5 * time.Second}
		change(&x)
		c, dir := newCache(t, 1<<30, stagein.Config{XRootD: x, Patience: time.Second})
		_, err := c.Get(t.Context(), stagein.File{URL: s.Root("data/f")})
		if f := exitcode.From(err); f != exitcode.NoCredential || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: %s: %v", what, f.Name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
}

func TestIntegrationAServerThatIsKilledComesBackAndTheFileIsFetched(t *testing.T) {
	t.Parallel()
	s, c, _, data := served(t, xrootdtest.Token)
	s.Kill()
	back := make(chan struct{})
	go func() { defer close(back); s.Restart(t) }()
	l, err := c.Get(t.Context(), stagein.File{URL: s.Root("data/f")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if b, err := os.ReadFile(l.Path); err != nil || !bytes.Equal(b, data) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	<-back
}

func TestIntegrationAServerThatStaysFrozenIsGivenUp(t *testing.T) {
	t.Parallel()
	s := xrootdtest.Start(t, xrootdtest.Anonymous)
	s.Put(t, "data/f", []byte("x"))
	c, dir := newCache(t, 1<<30, stagein.Config{XRootD: stagein.XRootD{Program: "xrdcp", Silence: time.Second}, Patience: time.Second})
	s.Freeze()
	defer s.Thaw()
	mustFail(t, c, dir, stagein.File{URL: s.Root("data/f")}, exitcode.DataUnreachable, s.Root("data/f"))
}
