package sqlite_test

import (
	"database/sql"
	"os"
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

// schema1 is a store as the first version wrote it.
const schema1 = `
CREATE TABLE worker (id TEXT PRIMARY KEY, live INTEGER NOT NULL, intended INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX worker_live ON worker (id) WHERE live;
CREATE INDEX worker_intended ON worker (intended);
PRAGMA user_version = 1;
INSERT INTO worker VALUES ('tfpilot-a.0', 1, 1767322800000000000,
  '{"id":"tfpilot-a.0","tag":"tfpilot-a","batch_id":"tfpilot-a.0","run_id":"7","namespace":"n","state":"running","exit_code":0,"reason":"","intended_at":"2026-01-02T03:00:00Z","started_at":"2026-01-02T03:00:01Z"}');
INSERT INTO worker VALUES ('tfpilot-b.0', 0, 1767322801000000000,
  '{"id":"tfpilot-b.0","tag":"tfpilot-b","batch_id":"tfpilot-b.0","run_id":"7","namespace":"n","state":"ended","exit_code":55,"reason":"idle_timeout","intended_at":"2026-01-02T03:00:01Z","ended_at":"2026-01-02T04:00:00Z"}');
`

func TestAStoreOfTheFirstVersionIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "harvester.db")+"?_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), schema1); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		s := open(t, dir)
		live, err := s.Live(t.Context())
		if err != nil || len(live) != 1 || live[0].ID != "tfpilot-a.0" || live[0].RunID != "7" || live[0].ChangedAt.IsZero() {
			t.Errorf("%+v, %v", live, err)
		}
		if list, err := s.Latest(t.Context(), 10); err != nil || len(list) != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	tags, err := s.Prune(t.Context(), time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC))
	if err != nil || len(tags) != 1 || tags[0] != "tfpilot-b" {
		t.Errorf("forgotten: %v, %v", tags, err)
	}
}

func TestOnlySubmissionsThatHaveEndedAsAWholeAreForgotten(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	worker := func(tag, id string, state harvester.State, changed time.Time) harvester.Worker {
		return harvester.Worker{ID: tag + id, Tag: tag, BatchID: "batch" + id, State: state, ChangedAt: changed}
	}
	if err := s.Put(t.Context(), worker("old", ".0", harvester.Ended, at), worker("old", ".1", harvester.Missing, at),
		worker("half", ".0", harvester.Ended, at), worker("half", ".1", harvester.Running, at),
		worker("late", ".0", harvester.Ended, at), worker("late", ".1", harvester.Ended, at.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	tags, err := s.Prune(t.Context(), at.Add(time.Minute))
	if err != nil || len(tags) != 1 || tags[0] != "old" {
		t.Errorf("%v, %v", tags, err)
	}
	if list, err := s.Latest(t.Context(), 10); err != nil || len(list) != 4 {
		t.Errorf("%+v, %v", list, err)
	}
	for name, want := range map[string]int{"half.1": 1, "batch.0": 2, "old.0": 0} {
		if list, err := s.Find(t.Context(), name); err != nil || len(list) != want {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
}

func TestDocumentsAreThereForWhoeverOpensTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, reader := open(t, dir), open(t, dir)
	if err := writer.SetDocument(t.Context(), "drain", harvester.Drain{By: "me"}); err != nil {
		t.Fatal(err)
	}
	var d harvester.Drain
	if found, err := reader.Document(t.Context(), "drain", &d); !found || err != nil || d.By != "me" {
		t.Errorf("%+v, %t, %v", d, found, err)
	}
	if err := reader.SetDocument(t.Context(), "drain", nil); err != nil {
		t.Fatal(err)
	}
	if found, err := writer.Document(t.Context(), "drain", &d); found || err != nil {
		t.Errorf("%t, %v", found, err)
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

func TestTheStoreIsInItsFolderWhateverThatIsCalled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "what?", "100%41", "a#b", "a&b=c;d", "τ"} {
		dir := filepath.Join(t.TempDir(), name)
		s, err := sqlite.Open(t.Context(), dir)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "harvester.db")); err != nil {
			t.Error(err)
		}
	}
}
