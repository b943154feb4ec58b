//go:build integration

package postgres_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tfpilot/idds/postgres"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/faultproxy"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// count adds one to what a store counts.
func count(tx ledger.Tx) error {
	r, err := tx.Run("ns", "1")
	if err != nil {
		return err
	}
	if r == nil {
		r = &ledger.Run{Namespace: "ns", RunID: message.Run("1"), Counts: map[string]int64{}}
	}
	r.Counts["n"]++
	return tx.PutRun(r)
}

// counted is what it has counted, asked until it is available.
func counted(t *testing.T, s *postgres.Store) int64 {
	t.Helper()
	runs, err := s.Runs(t.Context(), "ns")
	for errors.Is(err, ledger.ErrUnavailable) {
		runs, err = s.Runs(t.Context(), "ns")
	}
	must(t, err)
	if len(runs) == 0 {
		return 0
	}
	return runs[0].Counts["n"]
}

// persist counts once, however often it takes.
func persist(t *testing.T, s *postgres.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		err := s.Update(ctx, count)
		if err == nil {
			return
		}
		if !errors.Is(err, ledger.ErrUnavailable) || ctx.Err() != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func TestIntegrationACommitWhoseAnswerIsLostCountsOnce(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(database(t))
	must(t, err)
	target := u.Host
	proxy := faultproxy.New(func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", target) }, nil)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = proxy.Serve(ctx, ln) })
	defer func() { cancel(); wg.Wait() }()
	u.Host = ln.Addr().String()
	var said lines
	s, err := postgres.Open(t.Context(), u.String(), slog.New(slog.NewTextHandler(&said, nil)))
	must(t, err)
	defer func() { _ = s.Close() }()

	cutting, stop := context.WithCancel(ctx)
	wg.Go(func() { // now in order, now abruptly, now with what is under way held back
		for i := 0; cutting.Err() == nil; i++ {
			select {
			case <-time.After(rand.N(40 * time.Millisecond)):
			case <-cutting.Done():
			}
			switch i % 3 {
			case 0:
				proxy.Cut()
			case 1:
				proxy.Reset()
			default:
				proxy.Set(faultproxy.Conditions{Down: faultproxy.Direction{Hold: true}})
				proxy.Reset()
				proxy.Set(faultproxy.Conditions{})
			}
		}
	})
	n := int64(0)
	for deadline := time.Now().Add(2 * time.Minute); said.count("did not answer to a commit") < 5; n++ {
		if time.Now().After(deadline) {
			t.Fatal("no commit was in doubt")
		}
		persist(t, s)
	}
	stop()
	if got := counted(t, s); got != n {
		t.Errorf("%d changes were made, %d counted", n, got)
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), words)
}

// noise is a text that does not get smaller.
func noise() string {
	b := make([]byte, 1000)
	for i := range b {
		b[i] = byte(rand.N(256))
	}
	return hex.EncodeToString(b)
}

// machine is a PostgreSQL of the test's own, to be broken.
type machine struct {
	t     *testing.T
	state string
	store string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	server(t)                                           // or not at all
	state, err := os.MkdirTemp("", "tfpilot-postgres-") //nolint:usetesting // the server's user cannot reach that of a test
	must(t, err)
	m := &machine{t: t, state: state}
	t.Cleanup(func() { m.services("down") })
	m.up()
	return m
}

func (m *machine) services(what string) string {
	m.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(m.t.Context()), "../../scripts/services.sh", what, "postgres")
	cmd.Env = append(os.Environ(), "TFPILOT_SERVICES="+m.state, "TFPILOT_POSTGRES_PORT=")
	if _, err := os.Stat(filepath.Join(m.state, "postgres", "port")); err != nil {
		cmd.Env = append(cmd.Env, "TFPILOT_POSTGRES_PORT=0")
	}
	cmd.Stderr = m.t.Output()
	out, err := cmd.Output()
	must(m.t, err)
	return strings.TrimSpace(string(out))
}

func (m *machine) up() {
	m.t.Helper()
	m.store = strings.TrimPrefix(m.services("up"), "TFPILOT_TEST_POSTGRES=")
}

// crash is `pg_ctl stop -m immediate`, until nothing listens any more.
func (m *machine) crash() {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.state, "postgres", "pid"))
	must(m.t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(m.t, err)
	must(m.t, syscall.Kill(pid, syscall.SIGQUIT))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") { // nobody may have reaped it yet
			return
		}
	}
}

func (m *machine) asAdmin(statements ...string) {
	m.t.Helper()
	for _, statement := range statements {
		ask(m.t, strings.Replace(m.store, "panda:panda@", "admin:admin@", 1), statement)
	}
}

// lock keeps everybody from a table until it is released.
func (m *machine) lock(table string) (release func()) {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), m.store)
	must(m.t, err)
	_, err = conn.Exec(m.t.Context(), "BEGIN; LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
	must(m.t, err)
	return func() { must(m.t, conn.Close(m.t.Context())) }
}

// small makes a disk of a few megabytes for the server, and returns its folder.
func (m *machine) small() string {
	m.t.Helper()
	dir, err := os.MkdirTemp("", "tfpilot-full-")
	must(m.t, err)
	must(m.t, syscall.Mount("tfpilot", dir, "tmpfs", 0, "size=8m,mode=700"))
	if owner, err := os.Stat(filepath.Join(m.state, "postgres", "data")); err == nil {
		is := owner.Sys().(*syscall.Stat_t)
		must(m.t, os.Chown(dir, int(is.Uid), int(is.Gid)))
	}
	m.t.Cleanup(func() { must(m.t, errors.Join(syscall.Unmount(dir, 0), os.Remove(dir))) })
	return dir
}

func TestIntegrationAFullDiskIsSaidAndRoomMendsIt(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("only root may make a small disk")
	}
	m := newMachine(t)
	dir := m.small()
	t.Cleanup(func() { m.services("stop") }) // it lets go of the disk
	m.asAdmin("CREATE TABLESPACE small LOCATION '"+dir+"'", "GRANT CREATE ON TABLESPACE small TO panda")
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 5<<20), 0o600))
	u, err := url.Parse(m.store)
	must(t, err)
	s := open(t, with(u, "default_tablespace", "small"))
	persist(t, s)
	n := 0
	add := func() error {
		return s.Update(t.Context(), func(tx ledger.Tx) error {
			for i := range 100 {
				k := ledger.Key{Namespace: "ns", Run: "1", Identity: strconv.Itoa(100*n + i)}
				if err := tx.PutSlice(&ledger.Slice{Key: k, State: ledger.Outstanding, Filename: noise()}); err != nil {
					return err
				}
			}
			return count(tx)
		})
	}
	for err = add(); err == nil; err = add() {
		n++
	}
	if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "No space left on device") {
		t.Errorf("%v", err)
	}
	if got := counted(t, s); got != int64(1+n) {
		t.Errorf("%d changes were made, %d counted", 1+n, got)
	}
	must(t, os.Remove(filler))
	must(t, add())
	_, tally, err := s.Tally(t.Context(), "ns", "1")
	if err != nil || tally[ledger.Outstanding] != 100*(n+1) {
		t.Errorf("%v, want %d, %v", tally, 100*(n+1), err)
	}
}

func TestIntegrationAServerThatIsKilledAndComesBackHasEverythingOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := open(t, m.store)
	for range 3 {
		var wg sync.WaitGroup
		before := counted(t, s)
		wg.Go(func() {
			for range 300 {
				persist(t, s)
			}
		})
		for counted(t, s) < before+50 {
		}
		m.crash()
		m.up()
		wg.Wait()
		if got := counted(t, s); got != before+300 {
			t.Errorf("%d changes were made, %d counted", before+300, got)
		}
	}
}

func TestIntegrationWhatMayPassIsSaidAndMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := open(t, m.store)
	persist(t, s)
	unavailable := func(words string) {
		t.Helper()
		err := s.Update(t.Context(), count)
		if !errors.Is(err, ledger.ErrUnavailable) || exitcode.From(err) != exitcode.StoreFailed || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	t.Run("read-only", func(*testing.T) { //nolint:paralleltest // one after the other
		m.asAdmin("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
		for s.Update(t.Context(), count) == nil { // it is not told at once
		}
		unavailable("read-only transaction")
		m.asAdmin("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
		persist(t, s)
	})
	t.Run("locked", func(*testing.T) { //nolint:paralleltest // one after the other
		release := m.lock("run")
		unavailable("lock timeout")
		release()
		persist(t, s)
	})
	t.Run("gone", func(*testing.T) { //nolint:paralleltest // one after the other
		m.services("stop")
		unavailable("")
		if _, err := s.Due(t.Context(), "ns", time.Now()); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("reading: %v", err)
		}
		m.up()
		persist(t, s)
		_, err := s.Due(t.Context(), "ns", time.Now())
		must(t, err)
	})
}
