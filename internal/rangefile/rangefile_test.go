package rangefile_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/rangefile"
	"tfpilot/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "s3cret-t0ken"

// data is what servers of these tests have, at /data/f.
var data = func() []byte {
	b := make([]byte, 300_000)
	_, _ = rand.Read(b)
	return b
}()

// serve answers as XRootD does, and only whoever has the token.
func serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.TLS != nil && r.Header.Get("Authorization") != "Bearer "+secret && r.URL.Query().Get("authz") == "":
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Path != "/data/f":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodHead:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		if r.Header.Get("Want-Digest") == "adler32" {
			w.Header().Set("Digest", fmt.Sprintf("adler32=%x", adler32.Checksum(data)))
		}
	default:
		first, last := asked(r)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
		w.Header().Set("Content-Length", strconv.Itoa(last-first+1))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[first : last+1])
	}
}

// asked is the closed range of a request.
func asked(r *http.Request) (first, last int) {
	if n, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n != 2 || err != nil || last >= len(data) {
		panic(http.ErrAbortHandler)
	}
	return first, last
}

// secure starts a server with TLS and the configuration of a client that trusts it and has the token.
func secure(t *testing.T, h http.HandlerFunc) (*httptest.Server, rangefile.Config) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, secret+"\n")
	return srv, rangefile.Config{CADir: dir, TokenFile: token, Silence: 20 * time.Second, Patience: testkit.Patience}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func client(t *testing.T, cfg rangefile.Config) *rangefile.Client {
	t.Helper()
	c, err := rangefile.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, cfg rangefile.Config, url string) *rangefile.File {
	t.Helper()
	f, err := client(t, cfg).Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// mustRead reads a part and compares it.
func mustRead(t *testing.T, f *rangefile.File, off, length int) {
	t.Helper()
	p := make([]byte, length)
	n, err := f.ReadAt(p, int64(off))
	want := data[off:min(off+length, len(data))]
	if len(want) < length && !errors.Is(err, io.EOF) || len(want) == length && err != nil || !bytes.Equal(p[:n], want) {
		t.Errorf("%d bytes at %d: got %d, %v", length, off, n, err)
	}
}

// mustFail opens and reads, and checks what is said about it.
func mustFail(t *testing.T, cfg rangefile.Config, url string, want exitcode.Failure, words string) {
	t.Helper()
	f, err := client(t, cfg).Open(t.Context(), url)
	if err == nil {
		_, err = f.CopyTo(t.Context(), io.Discard)
	}
	if got := exitcode.From(err); got != want || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %s with %q", got.Name, err, want.Name, words)
	}
	if err != nil && strings.Contains(err.Error()+exitcode.Next(err), "s3cret") {
		t.Errorf("the secret is in %v", err)
	}
}

func TestAPartIsReadByItsRangeWithTheToken(t *testing.T) {
	t.Parallel()
	srv, cfg := secure(t, serve)
	for _, scheme := range []string{"https", "davs"} {
		f := open(t, cfg, scheme+strings.TrimPrefix(srv.URL, "https")+"/data/f")
		if sum, err := f.Adler32(t.Context()); f.Size() != int64(len(data)) || sum != fmt.Sprintf("%08x", adler32.Checksum(data)) {
			t.Errorf("%d bytes, %s, %v", f.Size(), sum, err)
		}
		mustRead(t, f, 1000, 5000)
		mustRead(t, f, 0, 1)
		mustRead(t, f, len(data)-10, 10)
		mustRead(t, f, len(data)-10, 30)
		if s := f.Stats(); s.Bytes != 5021 || s.Requests != 6 || s.Retries != 0 {
			t.Errorf("%+v", s)
		}
		if n, err := f.ReadAt(make([]byte, 1), int64(len(data))); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("beyond the end: %d, %v", n, err)
		}
		var all bytes.Buffer
		if n, err := f.CopyTo(t.Context(), &all); err != nil || n != f.Size() || !bytes.Equal(all.Bytes(), data) {
			t.Errorf("copied %d: %v", n, err)
		}
	}
}

func TestWhatBreaksOffIsReadOnFromThere(t *testing.T) {
	t.Parallel()
	var broken atomic.Int32
	srv, cfg := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if n := broken.Add(1); r.Method == http.MethodGet && n%2 == 0 {
			switch n % 6 {
			case 0:
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			case 2: // promises more than comes
				first, last := asked(r)
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
				w.Header().Set("Content-Length", strconv.Itoa(last-first+1))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(data[first:min(first+70_000, last)])
			}
			panic(http.ErrAbortHandler)
		}
		if r.Method == http.MethodGet && broken.Load() < 4 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		serve(w, r)
	})
	f := open(t, cfg, srv.URL+"/data/f")
	var all bytes.Buffer
	if _, err := f.CopyTo(t.Context(), &all); err != nil || !bytes.Equal(all.Bytes(), data) {
		t.Errorf("%v, %d bytes", err, all.Len())
	}
	if s := f.Stats(); s.Retries == 0 || s.Bytes != int64(len(data)) {
		t.Errorf("%+v: a byte came twice, or nothing broke", s)
	}
}

func TestAServerThatFallsSilentIsGivenUpAfterThePatience(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv, cfg := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			serve(w, r)
			return
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) })
	cfg.Silence, cfg.Patience = 50*time.Millisecond, 300*time.Millisecond
	mustFail(t, cfg, srv.URL+"/data/f", exitcode.DataUnreachable, "nothing came for 50ms")
	ctx, cancel := context.WithCancelCause(t.Context())
	f, err := client(t, cfg).Open(ctx, srv.URL+"/data/f")
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("why")
	cancel(why)
	if _, err := f.ReadAt(make([]byte, 10), 0); !errors.Is(err, why) {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestARefusedTokenIsReadAgainOnce(t *testing.T) {
	t.Parallel()
	srv, cfg := secure(t, serve)
	right := cfg.TokenFile
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	write(t, cfg.TokenFile, "s3cret-but-old")
	mustFail(t, cfg, srv.URL+"/data/f", exitcode.NoCredential, "the token of "+cfg.TokenFile)
	f := func() *rangefile.File { c := cfg; c.TokenFile = right; return open(t, c, srv.URL+"/data/f") }()
	write(t, right, "s3cret-but-old")
	if _, err := f.ReadAt(make([]byte, 10), 0); exitcode.From(err) != exitcode.NoCredential {
		t.Errorf("got %v", err)
	}
	write(t, right, secret)
	mustRead(t, f, 0, 10)
	cfg.TokenFile = ""
	mustFail(t, cfg, srv.URL+"/data/f", exitcode.NoCredential, "no token was given")
	for _, text := range []string{"", "\n", "two words"} {
		cfg.TokenFile = right
		write(t, right, text)
		mustFail(t, cfg, srv.URL+"/data/f", exitcode.NoCredential, "holds no token")
	}
	cfg.TokenFile = "/no/such/token"
	mustFail(t, cfg, srv.URL+"/data/f", exitcode.NoCredential, "/no/such/token")
}

func TestARedirectIsFollowedOnceAndItsTokenNeverShown(t *testing.T) {
	t.Parallel()
	var trips, down atomic.Int32
	srv, cfg := secure(t, nil)
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get("Referer"); from != "" {
			t.Errorf("a server is told of %s", from)
		}
		switch {
		case r.URL.Path == "/loop":
			http.Redirect(w, r, "/loop?authz=Bearer%20"+secret, http.StatusTemporaryRedirect)
		case r.URL.Path == "/plain":
			http.Redirect(w, r, "http://127.0.0.1:1/x?authz=Bearer%20"+secret, http.StatusTemporaryRedirect)
		case r.URL.Path == "/dead":
			http.Redirect(w, r, "https://127.0.0.1:1/x?authz=Bearer%20"+secret, http.StatusTemporaryRedirect)
		case r.URL.RawQuery == "":
			trips.Add(1)
			http.Redirect(w, r, r.URL.Path+"?authz=Bearer%20"+secret, http.StatusTemporaryRedirect)
		case down.Load() > 0 && r.Method == http.MethodGet:
			down.Add(-1)
			w.WriteHeader(http.StatusForbidden)
		default:
			serve(w, r)
		}
	})
	f := open(t, cfg, srv.URL+"/data/f")
	mustRead(t, f, 0, 10)
	mustRead(t, f, 100, 10)
	if n := trips.Load(); n != 1 {
		t.Errorf("%d trips through the redirector, want 1", n)
	}
	down.Store(1)
	mustRead(t, f, 200, 10) // its token is over: the redirector has another
	if n := trips.Load(); n != 2 {
		t.Errorf("%d trips through the redirector, want 2", n)
	}
	cfg.Patience = 200 * time.Millisecond
	mustFail(t, cfg, srv.URL+"/loop", exitcode.DataUnreachable, "redirected 5 times")
	mustFail(t, cfg, srv.URL+"/plain", exitcode.DataUnreachable, "plain http")
	mustFail(t, cfg, srv.URL+"/dead", exitcode.DataUnreachable, "connection refused")
}

func TestATokenNeverGoesOverPlainHTTP(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went over plain http")
		}
		serve(w, r)
	}))
	t.Cleanup(srv.Close)
	cfg := rangefile.Config{TokenFile: filepath.Join(t.TempDir(), "token")}
	write(t, cfg.TokenFile, secret)
	mustFail(t, cfg, srv.URL+"/data/f", exitcode.BadConfig, "plain http")
	cfg.HTTPHosts = []string{"127.0.0.1"}
	mustRead(t, open(t, cfg, srv.URL+"/data/f"), 0, 100)
}

func TestAServerThatIsNotTrustedIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	srv, cfg := secure(t, serve)
	cfg.CADir = ""
	mustFail(t, cfg, srv.URL+"/data/f", exitcode.DataUnreachable, "certificate")
	cfg.CADir = t.TempDir()
	if _, err := rangefile.New(cfg); exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), cfg.CADir) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAnswersThatAreNotTheFileAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   exitcode.Failure
		words  string
	}{
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>please log in</html>")
		}, exitcode.DataUnreachable, "web page"},
		"missing": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, exitcode.DataMissing, "404"},
		"teapot":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, exitcode.DataUnreachable, "418"},
		"no range": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				serve(w, r)
				return
			}
			_, _ = io.WriteString(w, "something else")
		}, exitcode.DataUnreachable, "no part of it"},
		"another length": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", strconv.Itoa(len(data)-1))
				return
			}
			serve(w, r)
		}, exitcode.DataCorrupt, fmt.Sprintf("it has %d bytes now", len(data))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, cfg := secure(t, c.answer)
			mustFail(t, cfg, srv.URL+"/data/f", c.want, c.words)
		})
	}
}

func TestAServerWithoutChecksumsMayRefuseToBeAskedForOne(t *testing.T) {
	t.Parallel()
	srv, cfg := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Want-Digest") != "" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		serve(w, r)
	})
	f := open(t, cfg, srv.URL+"/data/f")
	if sum, err := f.Adler32(t.Context()); sum != "" || err != nil {
		t.Error(sum, err)
	}
	mustRead(t, f, 0, 10)
}

func TestErrorsOfWhoTakesTheFileAreHisOwn(t *testing.T) {
	t.Parallel()
	srv, cfg := secure(t, serve)
	full := errors.New("disk full")
	if _, err := open(t, cfg, srv.URL+"/data/f").CopyTo(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAddressesThatNameNoFileOrTooMuchAreRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"https://", "https:///x", "https://h", "https://h/", "https://h/x/", "https://u:s3cret@h/x", "https://s3cret@h/x",
		"https://h/x?authz=s3cret", "https://h/x?", "https://h/x#s3cret", "https://h/a/../x", "https://h/%2e%2e/x", "https://h/x%0ay",
		"https://h:s3cret/x", "https://h/%zz/s3cret\n",
	} {
		_, err := rangefile.Parse(address)
		if exitcode.From(err) != exitcode.DataInvalid || strings.Contains(err.Error(), "s3cret") || strings.ContainsRune(err.Error(), '\n') {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"https://h/x", "root://h:1094//data/f", "https://[::1]:8443/a%20b"} {
		if _, err := rangefile.Parse(address); err != nil {
			t.Error(err)
		}
	}
}
