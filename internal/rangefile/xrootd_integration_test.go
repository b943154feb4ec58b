//go:build integration

package rangefile_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/testkit"
	"tfpilot/internal/xrootdtest"
)

// xrootd starts a server that has the data, and the configuration of a client that may read it.
func xrootd(t *testing.T, mode xrootdtest.Mode) (*xrootdtest.Server, rangefile.Config) {
	t.Helper()
	s := xrootdtest.Start(t, mode)
	s.Put(t, "data/f", data)
	cfg := rangefile.Config{Silence: 2 * time.Second, Patience: testkit.Patience, HTTPHosts: []string{"localhost"}}
	if mode == xrootdtest.Token {
		cfg.CADir, cfg.TokenFile = s.CADir(), filepath.Join(s.Dir, "token")
	}
	return s, cfg
}

func TestIntegrationXRootDIsReadByRangesWithAndWithoutToken(t *testing.T) {
	t.Parallel()
	for _, mode := range []xrootdtest.Mode{xrootdtest.Anonymous, xrootdtest.Token} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, cfg := xrootd(t, mode)
			f := open(t, cfg, s.HTTP("data/f"))
			if sum, err := f.Adler32(t.Context()); f.Size() != int64(len(data)) || sum == "" || err != nil || f.RTT() <= 0 {
				t.Errorf("%d bytes, checksum %q, %v, round trip %s", f.Size(), sum, err, f.RTT())
			}
			mustRead(t, f, 100_000, 50_000)
			mustRead(t, f, len(data)-10, 30)
			var all bytes.Buffer
			if _, err := f.CopyTo(t.Context(), &all); err != nil || !bytes.Equal(all.Bytes(), data) {
				t.Errorf("%v, %d bytes", err, all.Len())
			}
			mustFail(t, cfg, s.HTTP("data/none"), exitcode.DataMissing, "404")
		})
	}
}

func TestIntegrationXRootDRefusesOtherTokens(t *testing.T) {
	t.Parallel()
	s, cfg := xrootd(t, xrootdtest.Token)
	for _, file := range []string{
		"", s.Token(t, "read:/", -time.Minute, ""), s.Token(t, "read:/other", time.Hour, ""), s.Token(t, "read:/", time.Hour, "https://other.example"),
	} {
		cfg.TokenFile = file
		mustFail(t, cfg, s.HTTP("data/f"), exitcode.NoCredential, "403")
	}
	cfg.CADir = ""
	mustFail(t, cfg, s.HTTP("data/f"), exitcode.DataUnreachable, "certificate")
}

func TestIntegrationAServerThatIsKilledOrFrozenAndComesBackCostsTimeOnly(t *testing.T) {
	t.Parallel()
	s, cfg := xrootd(t, xrootdtest.Token)
	cfg.Silence = 300 * time.Millisecond
	f := open(t, cfg, s.HTTP("data/f"))
	mustRead(t, f, 0, 1000)
	s.Kill()
	back := make(chan struct{})
	go func() { defer close(back); s.Restart(t) }()
	mustRead(t, f, 1000, 1000)
	<-back
	s.Freeze()
	thaw := time.AfterFunc(time.Second, s.Thaw)
	defer thaw.Stop()
	mustRead(t, f, 2000, 1000)
	if f.Stats().Retries == 0 {
		t.Error("nothing was tried again")
	}
	s.Freeze()
	defer s.Thaw()
	cfg.Patience = time.Second
	mustFail(t, cfg, s.HTTP("data/f"), exitcode.DataUnreachable, "")
}

func TestIntegrationPlainHTTPGetsNoTokenThoughXRootDWouldTakeIt(t *testing.T) {
	t.Parallel()
	s, cfg := xrootd(t, xrootdtest.Token)
	plain := "http" + strings.TrimPrefix(s.HTTP("data/f"), "https")
	mustFail(t, cfg, plain, exitcode.NoCredential, http.StatusText(http.StatusForbidden))
	cfg.HTTPHosts = nil
	mustFail(t, cfg, plain, exitcode.BadConfig, "plain http")
}
