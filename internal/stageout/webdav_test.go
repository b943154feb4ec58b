package stageout_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/stageout"
)

// dav is a server that answers as XRootD does, with faults.
type dav struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked []string
	// fault answers a request itself when it says so.
	fault func(w http.ResponseWriter, r *http.Request) (answered bool)
	// silence is for how long the client waits; the default when 0.
	silence time.Duration
}

func newDAV(t *testing.T) *dav {
	t.Helper()
	d := &dav{files: map[string][]byte{}}
	d.Server = httptest.NewTLSServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *dav) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r.Method)
	if d.fault != nil && d.fault(w, r) {
		return
	}
	b, there := d.files[r.URL.Path]
	switch {
	case r.Method == http.MethodPut:
		b, _ = io.ReadAll(r.Body)
		d.files[r.URL.Path] = b
	case !there:
		http.Error(w, "no such file or directory", http.StatusNotFound)
	case r.Method == http.MethodHead:
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.Header().Set("Digest", fmt.Sprintf("md5=x, adler32=%x", adler32.Checksum(b)))
	case r.Method == http.MethodDelete:
		delete(d.files, r.URL.Path)
	case r.Method == "MOVE":
		_, path, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Destination"), "https://"), "/")
		d.files["/"+path] = b
		delete(d.files, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
	}
}

func (d *dav) count(method string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.asked {
		if m == method {
			n++
		}
	}
	return n
}

// store is that of /out on the server, with a token.
func (d *dav) store(t *testing.T, token string) stageout.Store {
	t.Helper()
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := stageout.NewClient(stageout.Access{CADir: dir, TokenFile: token, Silence: d.silence})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := place(t, d.URL+"/out")
	s, err := c.Store(p, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// on answers requests of a method with a status and words, n times; always when n is below 0.
func on(method string, n, status int, words string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || n == 0 {
			return false
		}
		n--
		http.Error(w, words, status)
		return true
	}
}

func TestOutputsComeToAServerOverHTTPS(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"at once":                 nil,
		"after a server was busy": on(http.MethodPut, 1, http.StatusServiceUnavailable, "busy"),
		"that knows no checksum": func(w http.ResponseWriter, r *http.Request) bool {
			return r.Header.Get("Want-Digest") != "" && on(r.Method, 1, 405, "")(w, r)
		},
		"that cut off what it took": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDAV(t)
			d.fault = fault
			if strings.Contains(name, "cut off") {
				cut := false
				d.fault = func(_ http.ResponseWriter, r *http.Request) bool {
					if r.Method == http.MethodPut && !cut {
						cut = true
						d.files[r.URL.Path] = []byte("half")
						return true
					}
					return false
				}
			}
			placed := deliver(t, d.store(t, ""), stageout.Config{}, file("7/a", "content"))
			if placed[0].Kept || len(d.files) != 1 || string(d.files["/out/7/a"]) != "content" {
				t.Errorf("%+v, %q", placed[0], d.files)
			}
		})
	}
}

func TestARefusalOfAServerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		words  string
		want   exitcode.Failure
		is     error
	}{
		"no room":              {http.StatusInsufficientStorage, "", exitcode.OutputFailed, syscall.ENOSPC},
		"no room, in words":    {http.StatusInternalServerError, "Unable to write /x; No space left on device", exitcode.OutputFailed, syscall.ENOSPC},
		"over quota, in words": {http.StatusInternalServerError, "quota exceeded", exitcode.OutputFailed, syscall.EDQUOT},
		"read-only":            {http.StatusInternalServerError, "read-only file system", exitcode.OutputFailed, syscall.EROFS},
		"forbidden":            {http.StatusForbidden, "permission denied", exitcode.NoCredential, nil},
		"who are you":          {http.StatusUnauthorized, "", exitcode.NoCredential, nil},
		"not here":             {http.StatusNotImplemented, "", exitcode.OutputFailed, nil},
		"no folder":            {http.StatusNotFound, "", exitcode.OutputFailed, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDAV(t)
			d.fault = on(http.MethodPut, -1, c.status, c.words+" Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2VjcmV0c2VjcmV0")
			_, err := stageout.Deliver(t.Context(), d.store(t, ""), []stageout.File{file("7/a", "x")}, stageout.Config{})
			if got := exitcode.From(err); got != c.want || c.is != nil && !errors.Is(err, c.is) || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("%s: %v", got.Name, err)
			}
			if n := d.count(http.MethodPut); n != 1 || len(d.files) != 0 {
				t.Errorf("it was tried %d times; %q", n, d.files)
			}
		})
	}
}

// As XRootD 5.5.3 does, over https and for xrdcp.
func TestAFullServerThatSaysAllIsWellIsFoundOut(t *testing.T) {
	t.Parallel()
	d := newDAV(t)
	d.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			d.files[r.URL.Path] = []byte("cont")
		}
		return r.Method == http.MethodPut
	}
	err := d.store(t, "").Write(t.Context(), "7/a", file("7/a", "content"))
	if err == nil || !strings.Contains(err.Error(), "kept 4 of 7 bytes: it may be full") {
		t.Error(err)
	}
}

func TestATokenThatWasRenewedIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	d := newDAV(t)
	token := tokenFile(t, "old\n")
	d.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer new" {
			return false
		}
		if err := os.WriteFile(token, []byte("new"), 0o600); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	deliver(t, d.store(t, token), stageout.Config{}, file("7/a", "x"))
	for _, text := range []string{"", "two words", "a\x00b"} {
		_, err := stageout.Deliver(t.Context(), d.store(t, tokenFile(t, text)), []stageout.File{file("7/b", "x")}, stageout.Config{})
		if exitcode.From(err) != exitcode.NoCredential || !strings.Contains(err.Error(), "holds no token") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAServerThatAsksForNoFileBeforeItComesGetsItAllTheSame(t *testing.T) {
	t.Parallel()
	d := newDAV(t)
	d.silence = 3 * time.Second
	d.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		conn, client, err := w.(http.Hijacker).Hijack() // nobody says "100 Continue" then
		if err != nil {
			t.Error(err)
			return true
		}
		defer func() { _ = conn.Close() }()
		content := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(client, content); err != nil {
			return true // it comes again
		}
		d.files[r.URL.Path] = content
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
		return true
	}
	deliver(t, d.store(t, ""), stageout.Config{}, file("7/a", "content"))
	if string(d.files["/out/7/a"]) != "content" {
		t.Errorf("%q", d.files)
	}
}

func TestARedirectIsFollowedAndItsSecretsAreKept(t *testing.T) {
	t.Parallel()
	const secret = "?authz=Bearer%20s3cr3t"
	other := newDAV(t)
	other.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if from := r.Header.Get("Referer"); from != "" {
			t.Errorf("a server is told of %s", from)
		}
		return false
	}
	manager := newDAV(t)
	manager.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/out/loop/") {
			http.Redirect(w, r, manager.URL+r.URL.Path+secret, http.StatusTemporaryRedirect)
			return true
		}
		if strings.HasPrefix(r.URL.Path, "/out/plain/") {
			http.Redirect(w, r, "http://127.0.0.1:1"+r.URL.Path+secret, http.StatusTemporaryRedirect)
			return true
		}
		http.Redirect(w, r, other.URL+r.URL.Path+secret, http.StatusTemporaryRedirect)
		return true
	}
	// Both servers have the same certificate.
	deliver(t, manager.store(t, tokenFile(t, "t0k3n")), stageout.Config{}, file("7/a", "content"))
	if string(other.files["/out/7/a"]) != "content" || len(other.files) != 1 || len(manager.files) != 0 {
		t.Errorf("%q, %q", other.files, manager.files)
	}
	other.fault = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	for name, words := range map[string]string{"7/b": "403", "loop/b": "redirected 5 times", "plain/b": "plain http"} {
		_, err := stageout.Deliver(t.Context(), manager.store(t, tokenFile(t, "t0k3n")), []stageout.File{file(name, "x")}, stageout.Config{})
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "t0k3n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServerThatIsNotTrustedGetsNothing(t *testing.T) {
	t.Parallel()
	d := newDAV(t)
	c, err := stageout.NewClient(stageout.Access{TokenFile: tokenFile(t, "t0k3n")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := place(t, d.URL+"/out")
	s, err := c.Store(p, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stageout.Deliver(t.Context(), s, []stageout.File{file("7/a", "x")}, stageout.Config{}); exitcode.From(err) != exitcode.BadConfig || len(d.asked) != 0 {
		t.Error(err)
	}
	if _, err := c.Store(p, place(t, d.URL+"/elsewhere")); exitcode.From(err) != exitcode.DataInvalid {
		t.Error(err)
	}
}
