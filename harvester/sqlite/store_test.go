package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/harvester/sqlite"
)

func open(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestWorkersAreThereAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	running := harvester.Worker{ID: "a.0", Tag: "a", BatchID: "17", RunID: "1", Namespace: "n", State: harvester.Running, IntendedAt: at, StartedAt: at}
	ended := harvester.Worker{ID: "a.1", Tag: "a", State: harvester.Queued, IntendedAt: at.Add(time.Second)}
	if err := s.Put(t.Context(), running, ended); err != nil {
		t.Fatal(err)
	}
	ended.State, ended.ExitCode, ended.Reason = harvester.Ended, 55, "idle"
	if err := s.Put(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	live, err := s.Live(t.Context())
	if diff := cmp.Diff([]harvester.Worker{running}, live); diff != "" || err != nil {
		t.Error(diff, err)
	}
	latest, err := s.Latest(t.Context(), 10)
	if diff := cmp.Diff([]harvester.Worker{ended, running}, latest); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestAStoreOfALaterVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "harvester.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("got %v", err)
	}
}
