//go:build integration

package stageout_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stageout"
	"tfpilot/internal/xrootdtest"
)

// door is one way into a real server.
type door struct {
	mode xrootdtest.Mode
	http bool
}

var doors = map[string]door{
	"root":  {xrootdtest.Anonymous, false},
	"http":  {xrootdtest.Anonymous, true},
	"roots": {xrootdtest.Token, false},
	"https": {xrootdtest.Token, true},
}

// url is that of a folder of the server.
func (d door) url(s *xrootdtest.Server, path string) string {
	if d.http {
		return s.HTTP(path)
	}
	return s.Root(path)
}

// open makes the store of /out, which the server may write to; access says what is different.
func (d door) open(t *testing.T, s *xrootdtest.Server, access stageout.Access) stageout.Store {
	t.Helper()
	if s.Mode == xrootdtest.Token {
		access.CADir = s.CADir()
		if access.TokenFile == "" {
			access.TokenFile = s.Token(t, "read:/out write:/out", time.Hour, "")
		}
	}
	c, err := stageout.NewClient(access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := place(t, d.url(s, "out"))
	store, err := c.Store(p, p)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestIntegrationOutputsComeToAServer(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := xrootdtest.Start(t, d.mode)
			store := d.open(t, s, stageout.Access{})
			s.Put(t, "out/7/empty", nil)
			s.Put(t, "out/7/.a.part", []byte("what a killed pilot left"))
			a := file("7/a", "first")
			placed := deliver(t, store, stageout.Config{}, a, file("7/empty", "no more"))
			if placed[0] != (stageout.Placed{Name: "7/a", SizeBytes: 5, Adler32: a.Adler32}) {
				t.Errorf("%+v", placed[0])
			}
			if again := deliver(t, store, stageout.Config{}, a)[0]; again.Kept {
				t.Errorf("the same once more: %+v", again)
			}
			if other := deliver(t, store, stageout.Config{}, file("7/a", "second, and longer"))[0]; !other.Kept || other.SizeBytes != 5 || other.Adler32 != a.Adler32 {
				t.Errorf("%+v", other)
			}
			holds(t, filepath.Join(s.Export, "out"), "7/a=first", "7/empty=no more")
			deliver(t, store, stageout.Config{Replace: true}, file("7/a", "third"))
			holds(t, filepath.Join(s.Export, "out"), "7/a=third", "7/empty=no more")
		})
	}
}

func TestIntegrationALargeFileSurvivesAServerThatIsKilledMeanwhile(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := xrootdtest.Start(t, d.mode)
			content := make([]byte, 32<<20)
			if _, err := rand.Read(content); err != nil {
				t.Fatal(err)
			}
			killed := false
			f := stageout.File{Name: "7/a", SizeBytes: int64(len(content)), Adler32: fmt.Sprintf("%08x", adler32.Checksum(content))}
			f.Open = func() (io.ReadCloser, error) {
				r := bytes.NewReader(content)
				if killed {
					return io.NopCloser(r), nil
				}
				return io.NopCloser(readerFunc(func(p []byte) (int, error) {
					if !killed && r.Len() < len(content)/2 {
						killed = true
						s.Restart(t)
					}
					return r.Read(p)
				})), nil
			}
			placed, err := stageout.Deliver(t.Context(), d.open(t, s, stageout.Access{}), []stageout.File{f}, stageout.Config{})
			if err != nil || placed[0].Adler32 != f.Adler32 || placed[0].Kept || !killed {
				t.Fatalf("%+v, %v", placed, err)
			}
			got, err := os.ReadFile(filepath.Join(s.Export, "out/7/a"))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("it is another file: %v", err)
			}
			if left, err := os.ReadDir(filepath.Join(s.Export, "out/7")); err != nil || len(left) != 1 {
				t.Errorf("%v, %v", left, err)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestIntegrationAServerThatSaysNothingCostsItsTimeAndNoMore(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := xrootdtest.Start(t, d.mode)
			store := d.open(t, s, stageout.Access{})
			s.Freeze()
			defer s.Thaw()
			_, err := stageout.Deliver(t.Context(), store, []stageout.File{file("7/a", "x")}, stageout.Config{Timeout: 3 * time.Second})
			if exitcode.From(err) != exitcode.OutputFailed || !strings.Contains(err.Error(), "not done within 3s") {
				t.Error(err)
			}
		})
	}
}

func TestIntegrationASlotThatIsTakenBackWaitsForNoServer(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := xrootdtest.Start(t, d.mode)
			store := d.open(t, s, stageout.Access{})
			ctx, cancel := context.WithCancelCause(t.Context())
			f := file("7/a", "x")
			f.Open = func() (io.ReadCloser, error) {
				s.Freeze()
				cancel(errors.New("the slot is needed"))
				return io.NopCloser(strings.NewReader("x")), nil
			}
			defer s.Thaw()
			if _, err := stageout.Deliver(ctx, store, []stageout.File{f}, stageout.Config{}); exitcode.From(err) != exitcode.Interrupted {
				t.Error(err)
			}
		})
	}
}

func TestIntegrationATokenThatLetsNobodyWriteIsNamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"roots", "https"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, s := doors[name], xrootdtest.Start(t, xrootdtest.Token)
			none := filepath.Join(t.TempDir(), "none")
			if err := os.WriteFile(none, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for what, token := range map[string]string{
				"reads only": s.Token(t, "read:/", time.Hour, ""), "expired": s.Token(t, "read:/ write:/", -time.Minute, ""),
				"elsewhere": s.Token(t, "read:/other write:/other", time.Hour, ""), "no such file": none + "x",
			} {
				secret, _ := os.ReadFile(token)
				started := time.Now()
				_, err := stageout.Deliver(t.Context(), d.open(t, s, stageout.Access{TokenFile: token}), []stageout.File{file("7/a", "x")}, stageout.Config{})
				if got := exitcode.From(err); got != exitcode.NoCredential {
					t.Errorf("%s: %s: %v", what, got.Name, err)
				}
				if len(secret) > 0 && strings.Contains(fmt.Sprint(err), strings.TrimSpace(string(secret))) {
					t.Errorf("%s: the token is in %v", what, err)
				}
				t.Logf("%s after %s: %v", what, time.Since(started), err)
			}
		})
	}
}

func TestIntegrationAServerOfUnknownAuthoritiesIsNotTrusted(t *testing.T) {
	t.Parallel()
	s, other := xrootdtest.Start(t, xrootdtest.Token), xrootdtest.Start(t, xrootdtest.Token)
	for _, name := range []string{"roots", "https"} {
		c, err := stageout.NewClient(stageout.Access{CADir: other.CADir(), TokenFile: s.Token(t, "write:/", time.Hour, "")})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p := place(t, doors[name].url(s, "out"))
		store, err := c.Store(p, p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = stageout.Deliver(t.Context(), store, []stageout.File{file("7/a", "x")}, stageout.Config{Timeout: 20 * time.Second})
		if got := exitcode.From(err); got != exitcode.BadConfig {
			t.Errorf("%s: %s: %v", name, got.Name, err)
		}
	}
}

func TestIntegrationAFolderInThePlaceOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := xrootdtest.Start(t, d.mode)
			s.Put(t, "out/7/a/x", []byte("in its place"))
			_, err := stageout.Deliver(t.Context(), d.open(t, s, stageout.Access{}), []stageout.File{file("7/a", "x")}, stageout.Config{})
			if exitcode.From(err) != exitcode.OutputFailed {
				t.Error(err)
			}
			t.Log(err)
			holds(t, filepath.Join(s.Export, "out"), "7/a/x=in its place")
		})
	}
}
