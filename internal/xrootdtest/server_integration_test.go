//go:build integration

package xrootdtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"tfpilot/internal/xrootdtest"
)

// get asks for a file with a token, if there is one.
func get(t *testing.T, s *xrootdtest.Server, tokenFile string) (status int, body string) {
	t.Helper()
	pool := x509.NewCertPool()
	if s.Mode == xrootdtest.Token {
		ca, err := os.ReadFile(s.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		pool.AppendCertsFromPEM(ca)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTP("folder/file"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if tokenFile != "" {
		token, err := os.ReadFile(tokenFile)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+string(token[:len(token)-1]))
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestIntegrationAServerServesItsFolderAndComesBackAfterAKill(t *testing.T) {
	t.Parallel()
	s := xrootdtest.Start(t, xrootdtest.Anonymous)
	s.Put(t, "folder/file", []byte("hello"))
	for range 2 {
		if status, body := get(t, s, ""); status != http.StatusOK || body != "hello" {
			t.Errorf("%d %q", status, body)
		}
		s.Kill()
		s.Restart(t)
	}
}

func TestIntegrationAServerWithTokensServesWhomTheyLet(t *testing.T) {
	t.Parallel()
	s := xrootdtest.Start(t, xrootdtest.Token)
	s.Put(t, "folder/file", []byte("hello"))
	for name, c := range map[string]struct {
		file string
		want int
	}{
		"right":     {s.Token(t, "read:/folder", time.Hour, ""), http.StatusOK},
		"none":      {"", http.StatusForbidden},
		"expired":   {s.Token(t, "read:/", -time.Minute, ""), http.StatusForbidden},
		"elsewhere": {s.Token(t, "read:/other", time.Hour, ""), http.StatusForbidden},
		"audience":  {s.Token(t, "read:/", time.Hour, "https://other.example"), http.StatusForbidden},
	} {
		if status, _ := get(t, s, c.file); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
}
