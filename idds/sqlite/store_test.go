package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/sqlite"
	"tfpilot/idds/storetest"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
	"tfpilot/internal/ledgersql"
	"tfpilot/internal/logging"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func TestSQLiteIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(tb testing.TB, dir string) ledger.Store {
		tb.Helper()
		s, err := sqlite.Open(tb.Context(), dir, logging.Discard())
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = s.Close() })
		return s
	})
}

func TestAStoreOfBeforeIsBroughtForward(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// testdata/schema3.sql is what the idds of schema 3 left of two slices: `sqlite3 idds.db .dump`.
	script, err := os.ReadFile(filepath.Join("testdata", "schema3.sql"))
	must(t, err)
	write(t, dir, string(script)+"UPDATE slice SET filename = 'root://host//data/' || filename WHERE identity = 'slice-a';")
	var said strings.Builder
	store, err := sqlite.Open(t.Context(), dir, slog.New(slog.NewTextHandler(&said, nil)))
	must(t, err)
	defer func() { _ = store.Close() }()
	if !strings.Contains(said.String(), "brought to a new schema") || !strings.Contains(said.String(), "from=3") {
		t.Errorf("the log has %q", said.String())
	}
	if store.Name() != "w2nmxkq3" {
		t.Errorf("the name is %s now", store.Name())
	}
	if list, err := store.Slices(t.Context(), ledger.Filter{Pilot: "p1"}); err != nil || len(list) != 1 || list[0].Key.Identity != "slice-a" {
		t.Errorf("by pilot: %+v, %v", list, err)
	}
	if list, err := store.Files(t.Context(), ledger.FileFilter{}); err != nil || len(list) != 1 || list[0].Identity != "f.stf" || list[0].Slices != 2 {
		t.Errorf("files: %+v, %v", list, err)
	}
	for state, want := range map[ledger.SliceState]string{ledger.Done: "slice-a", ledger.Outstanding: "slice-b"} {
		list, err := store.Slices(t.Context(), ledger.Filter{States: []ledger.SliceState{state}})
		if err != nil || len(list) != 1 || list[0].Key.Identity != want {
			t.Errorf("%s: %+v, %v", state, list, err)
		}
	}
}

// A backup is of use long after the programs that made it; whoever may not change a store says what does.
func TestABackupOfBeforeIsReadAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("testdata", "schema3.sql"))
	must(t, err)
	write(t, dir, string(script))
	before, err := os.ReadFile(sqlite.File(dir))
	must(t, err)
	_, serr := sqlite.OpenSource(t.Context(), sqlite.File(dir))
	_, ierr := sqlite.Inspect(t.Context(), dir)
	for _, err := range []error{serr, ierr} {
		if !errors.Is(err, ledger.ErrOlderSchema) || !strings.Contains(err.Error(), "it has schema 3") || !strings.Contains(exitcode.Next(err), "backup") {
			t.Errorf("%v (%s)", err, exitcode.Next(err))
		}
	}
	from, err := sqlite.OpenBackup(t.Context(), sqlite.File(dir), logging.Discard())
	must(t, err)
	restored := t.TempDir()
	to, err := sqlite.OpenTarget(t.Context(), sqlite.File(restored))
	must(t, err)
	_, err = ledgersql.Copy(t.Context(), from, to, func(string, int64, int64) {})
	must(t, errors.Join(err, to.Close(), from.Close()))
	if facts, err := sqlite.Inspect(t.Context(), restored); err != nil || facts.Schema != ledgersql.Version || facts.Slices != 2 {
		t.Errorf("restored: %+v, %v", facts, err)
	}
	if after, err := os.ReadFile(sqlite.File(dir)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the backup has changed: %v", err)
	}
}

func TestAStoreThatIsNotOursIsRefusedAndLeftAsItIs(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"99": "schema 99, this program knows 8: a newer idds has written it", "2": "schema 2, older than any that was released",
	} {
		dir := t.TempDir()
		write(t, dir, "CREATE TABLE theirs (x); PRAGMA user_version = "+version)
		before, err := os.ReadFile(sqlite.File(dir))
		must(t, err)
		_, err = sqlite.Open(t.Context(), dir, logging.Discard())
		if err == nil || !strings.Contains(err.Error(), want) || exitcode.From(err) != exitcode.StoreVersion || errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("schema %s: %v", version, err)
		}
		db := open(t, dir)
		var tables int
		must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_master").Scan(&tables))
		if tables != 1 || len(before) == 0 {
			t.Errorf("schema %s: %d tables in it now", version, tables)
		}
	}
}

func TestAStoreThatAnotherProcessHasLockedMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, logging.Discard())
	must(t, err)
	defer func() { _ = store.Close() }()
	conn, err := open(t, dir).Conn(t.Context())
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	must(t, err)
	put := func(tx ledger.Tx) error { return tx.PutHistograms("ns", "1", nil) }
	if err := store.Update(t.Context(), put); !errors.Is(err, ledger.ErrUnavailable) || exitcode.From(err) != exitcode.StoreFailed {
		t.Errorf("%v", err)
	}
	if _, err := store.Due(t.Context(), "ns", time.Now()); err != nil {
		t.Errorf("reading: %v", err)
	}
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	must(t, store.Update(t.Context(), put))
}

func open(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+sqlite.File(dir))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// write runs a script on the file of a state folder.
func write(t *testing.T, dir, script string) {
	t.Helper()
	_, err := open(t, dir).ExecContext(t.Context(), script)
	must(t, err)
}
