package xrootdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Mode is how a server tells who may do what.
type Mode string

// The modes.
const (
	Anonymous Mode = "anon"  // everybody may read and write
	Unix      Mode = "unix"  // the client names a user; root:// only
	Token     Mode = "token" // roots:// and https:// only, with a token
)

// variable is set, by scripts/integration.sh, where servers are wanted.
const variable = "TFPILOT_TEST_XROOTD"

// patience is for a machine that is very busy.
const patience = time.Minute

// Server is one that belongs to a test.
type Server struct {
	// Dir holds everything of the server, Export what it serves.
	Dir, Export string
	Mode        Mode
	Port        int

	script string
	mu     sync.Mutex
	cmd    *exec.Cmd
	killed bool // by the test
	ended  chan struct{}
}

// Start starts a server that ends with the test. Where none is wanted the test is skipped, or fails with REQUIRE_SERVICES=1.
func Start(tb testing.TB, mode Mode) *Server {
	tb.Helper()
	if os.Getenv(variable) == "" {
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			tb.Fatalf("%s is not set, and REQUIRE_SERVICES=1; `make test/integration` sets it", variable)
		}
		tb.Skipf("no XRootD is wanted: %s is not set; `scripts/services.sh up xrootd` prints it", variable)
	}
	_, here, _, _ := runtime.Caller(0)
	// Not tb.TempDir: the server's sockets lie in it, whose names are bounded, and those of tests are long.
	dir, err := os.MkdirTemp("", "xrootd-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{Dir: dir, Mode: mode, script: filepath.Join(filepath.Dir(here), "../../scripts/services/xrootd-server.sh")}
	s.Export = filepath.Join(s.Dir, "export")
	// The user that the server becomes must be able to enter it.
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Kill)
	for range 10 { // another process may take the port before the server does
		s.Port = freePort(tb)
		if s.run(tb) {
			return s
		}
	}
	tb.Fatalf("xrootd found no port:\n%s", s.log())
	return nil
}

func freePort(tb testing.TB) int {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}

// run starts the process and waits until it answers; false when it ended instead.
func (s *Server) run(tb testing.TB) bool {
	tb.Helper()
	// Not with the test's context: it ends before the cleanups.
	ctx := context.WithoutCancel(tb.Context())
	s.killed, s.ended = false, make(chan struct{})
	if err := s.start(ctx); err != nil {
		tb.Fatal(err)
	}
	go s.keep(ctx)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return false
		case <-deadline.C:
			tb.Fatalf("xrootd does not answer:\n%s", s.log())
		case <-tick.C:
			c, err := new(net.Dialer).DialContext(tb.Context(), "tcp", s.Addr())
			if err == nil {
				_ = c.Close()
				return true
			}
		}
	}
}

// start starts the process.
func (s *Server) start(ctx context.Context) error {
	out, err := os.OpenFile(filepath.Join(s.Dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	s.cmd = exec.CommandContext(ctx, s.script, s.Dir, strconv.Itoa(s.Port), string(s.Mode)) //nolint:forbidigo // in a test, as a service that it needs
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return s.cmd.Start()
}

// keep waits for the process, and starts it again when a signal has ended it that was not the test's, as a site's init does: 5.5.3
// crashes now and then when a connection with TLS ends (a segmentation fault in libcrypto).
func (s *Server) keep(ctx context.Context) {
	for {
		cmd := s.cmd // which nobody else sets meanwhile
		_ = cmd.Wait()
		s.mu.Lock()
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		again := !s.killed && status.Signaled() && s.start(ctx) == nil
		s.mu.Unlock()
		if !again {
			close(s.ended)
			return
		}
	}
}

// signal sends a signal to the process, of which there is none when it has ended.
func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = s.killed || sig == syscall.SIGKILL
	if s.cmd != nil && s.cmd.Process != nil {
		_ = syscall.Kill(-s.cmd.Process.Pid, sig)
	}
}

func (s *Server) log() string {
	out, _ := os.ReadFile(filepath.Join(s.Dir, "out"))
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log", string(s.Mode), "xrootd.log"))
	return string(out) + string(log)
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	s.signal(syscall.SIGKILL)
	if s.ended != nil {
		<-s.ended
	}
}

// Restart starts the server again, on its port and its folder.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.Kill()
	if !s.run(tb) {
		tb.Fatalf("xrootd does not start again:\n%s", s.log())
	}
}

// Freeze stops the server where it is: its port takes connections, and nothing answers. Thaw has it go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// Addr is host:port, by address.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Root is the root:// or roots:// URL of a file in Export.
func (s *Server) Root(path string) string {
	scheme := "root"
	if s.Mode == Token {
		scheme = "roots"
	}
	return fmt.Sprintf("%s://localhost:%d//%s", scheme, s.Port, strings.TrimPrefix(path, "/"))
}

// HTTP is the http:// or https:// URL of a file in Export.
func (s *Server) HTTP(path string) string {
	scheme := "http"
	if s.Mode == Token {
		scheme = "https"
	}
	return fmt.Sprintf("%s://localhost:%d/%s", scheme, s.Port, strings.TrimPrefix(path, "/"))
}

// Put makes a file in Export, which the server may change.
func (s *Server) Put(tb testing.TB, path string, content []byte) {
	tb.Helper()
	name := filepath.Join(s.Export, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o666); err != nil {
		tb.Fatal(err)
	}
	for _, p := range []string{filepath.Dir(name), name} {
		if err := os.Chmod(p, 0o777); err != nil {
			tb.Fatal(err)
		}
	}
}

// CADir is the folder of authorities that signed the server's certificate (X509_CERT_DIR); CAFile is the one in it.
func (s *Server) CADir() string { return filepath.Join(s.Dir, "pki", "cadir") }

// CAFile is the authority as a file.
func (s *Server) CAFile() string { return filepath.Join(s.CADir(), "ca.pem") }

// Token makes a file with a token for scopes such as "read:/folder write:/"; life below 0 makes an expired one. The audience is the
// server's when empty.
func (s *Server) Token(tb testing.TB, scope string, life time.Duration, audience string) (file string) {
	tb.Helper()
	if audience == "" {
		audience = "https://xrd.example"
	}
	maker := filepath.Join(filepath.Dir(s.script), "xrootd-token.py")
	token, err := exec.CommandContext(tb.Context(), "python3", maker, s.Dir, scope, strconv.Itoa(int(life.Seconds())), audience).Output() //nolint:forbidigo // in a test
	if err != nil {
		tb.Fatalf("making a token: %v", err)
	}
	file = filepath.Join(tb.TempDir(), "token")
	if err := os.WriteFile(file, token, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}
