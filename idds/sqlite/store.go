// Package sqlite keeps idds' ledger in one SQLite file (write-ahead log, one writer).
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

// schemaVersion is the present schema. Files of others are refused: those before were never released.
const schemaVersion = 3

// schema. Identities are random: slices lie in the order of their coming, so that a batch writes neighbouring pages.
const schema = `
CREATE TABLE IF NOT EXISTS run (namespace TEXT, run TEXT, open INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_open ON run (namespace, run) WHERE open;
CREATE TABLE IF NOT EXISTS slice (
  id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, run TEXT NOT NULL, identity TEXT NOT NULL, state TEXT NOT NULL, filename TEXT NOT NULL,
  created INTEGER NOT NULL, stf INTEGER NOT NULL, finished INTEGER NOT NULL, due INTEGER NOT NULL, doc TEXT NOT NULL, message TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS slice_key ON slice (namespace, run, identity);
CREATE INDEX IF NOT EXISTS slice_open ON slice (namespace, run, state, identity) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS slice_due ON slice (due) WHERE due > 0;
CREATE TABLE IF NOT EXISTS request (
  namespace TEXT, run TEXT, created_at INTEGER, identity TEXT, PRIMARY KEY (namespace, run, created_at, identity)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS histogram (namespace TEXT, run TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS worker (pilot TEXT PRIMARY KEY, namespace TEXT NOT NULL, seen INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS actor (namespace TEXT, duty TEXT, sender TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, duty, sender)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS name (name TEXT NOT NULL);
`

// Store is the ledger's file.
type Store struct {
	db     *sql.DB // readers
	name   string
	mu     sync.Mutex
	writer *writer // guarded by mu
}

var _ ledger.Store = (*Store)(nil)

// Open opens or makes the file idds.db in a folder.
func Open(ctx context.Context, dir string) (*Store, error) {
	path := filepath.Join(dir, "idds.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "opening the store %s: %w", path, err)
	}
	s := &Store{db: db}
	err = s.migrate(ctx)
	if err == nil {
		s.writer, err = newWriter(ctx, db)
	}
	if err != nil {
		return nil, exitcode.Wrap(exitcode.StoreFailed, errors.Join(fmt.Errorf("opening the store %s: %w", path, err), db.Close()))
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version != 0 && version != schemaVersion {
		return fmt.Errorf("it has schema %d, this program knows %d; start with an empty state folder", version, schemaVersion)
	}
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	if _, err := s.db.ExecContext(ctx, "INSERT INTO name SELECT ? WHERE NOT EXISTS (SELECT * FROM name)", strings.ToLower(rand.Text()[:8])); err != nil {
		return err
	}
	if err := s.db.QueryRowContext(ctx, "SELECT name FROM name").Scan(&s.name); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// Name tells this store from all others; it was drawn when the file was made.
func (s *Store) Name() string { return s.name }

// Close closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.writer.close(), s.db.Close())
}

// Update runs fn in one transaction. Nothing of it is seen before it has committed.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return exitcode.New(exitcode.StoreFailed, "beginning a transaction: %w", err)
	}
	return s.writer.transact(ctx, fn)
}

// Runs are the runs of a namespace, all when it is empty.
func (s *Store) Runs(ctx context.Context, namespace string) ([]ledger.Run, error) {
	return s.runs(ctx, "SELECT namespace, doc FROM run WHERE ? IN ('', namespace) ORDER BY namespace, run", namespace)
}

// OpenRuns are those of a namespace for which there is something left to be done.
func (s *Store) OpenRuns(ctx context.Context, namespace string) ([]ledger.Run, error) {
	return s.runs(ctx, "SELECT namespace, doc FROM run WHERE namespace = ? AND open ORDER BY run", namespace)
}

func (s *Store) runs(ctx context.Context, query, namespace string) ([]ledger.Run, error) {
	rows, err := s.db.QueryContext(ctx, query, namespace)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var out []ledger.Run
	for rows.Next() {
		var r ledger.Run
		var doc []byte
		if err := rows.Scan(&r.Namespace, &doc); err != nil {
			return nil, failed(err)
		}
		if err := json.Unmarshal(doc, &r); err != nil {
			return nil, failed(err)
		}
		out = append(out, r)
	}
	return out, failed(rows.Err())
}

const sliceColumns = "SELECT namespace, run, identity, doc, message FROM slice "

// Slices are the slices of a filter in the order of their keys.
func (s *Store) Slices(ctx context.Context, f ledger.Filter) ([]ledger.Slice, error) {
	var where []string
	var args []any
	if f.Namespace != "" {
		where, args = append(where, "namespace = ?"), append(args, f.Namespace)
	}
	if f.Run != "" {
		where, args = append(where, "run = ?"), append(args, f.Run)
	}
	if f.Namespace != "" && f.Run != "" { // the planner does not see that the row values say the same
		where, args = append(where, "identity > ?"), append(args, f.After.Identity)
	} else {
		where, args = append(where, "(namespace, run, identity) > (?, ?, ?)"), append(args, f.After.Namespace, f.After.Run, f.After.Identity)
	}
	if len(f.States) > 0 {
		where = append(where, "state IN (?"+strings.Repeat(",?", len(f.States)-1)+")")
		for _, state := range f.States {
			args = append(args, string(state))
		}
		if !slices.Contains(f.States, ledger.Done) {
			where = append(where, "state <> 'done'") // says nothing new, but lets the planner use the index
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 1000
	}
	args = append(args, limit)
	return s.slices(ctx, sliceColumns+"WHERE "+strings.Join(where, " AND ")+" ORDER BY namespace, run, identity LIMIT ?", args...)
}

// Tally counts a run's slices by state.
func (s *Store) Tally(ctx context.Context, namespace, run string) (map[ledger.SliceState]int, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT state, count(*) FROM slice WHERE namespace = ? AND run = ? GROUP BY state", namespace, run)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	out := map[ledger.SliceState]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, failed(err)
		}
		out[ledger.SliceState(state)] = n
	}
	return out, failed(rows.Err())
}

// Due are slices of a namespace whose next attempt is due, and those whose sending was not confirmed.
func (s *Store) Due(ctx context.Context, namespace string, now time.Time) ([]ledger.Slice, error) {
	return s.slices(ctx, sliceColumns+"WHERE due > 0 AND due <= ? AND namespace = ? ORDER BY due LIMIT 1000", now.UnixMicro(), namespace)
}

func (s *Store) slices(ctx context.Context, query string, args ...any) ([]ledger.Slice, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var out []ledger.Slice
	for rows.Next() {
		var sl ledger.Slice
		var doc []byte
		if err := rows.Scan(&sl.Key.Namespace, &sl.Key.Run, &sl.Key.Identity, &doc, (*[]byte)(&sl.Message)); err != nil {
			return nil, failed(err)
		}
		if err := json.Unmarshal(doc, &sl); err != nil {
			return nil, failed(err)
		}
		out = append(out, sl)
	}
	return out, failed(rows.Err())
}

// Latencies are the samples of a run: slice created -> done, and STF written -> its last slice done, for whole STFs.
func (s *Store) Latencies(ctx context.Context, namespace, run string) (ledger.Latencies, error) {
	var l ledger.Latencies
	collect := func(into *[]float64, query string) error {
		rows, err := s.db.QueryContext(ctx, query, namespace, run)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var us int64
			if err := rows.Scan(&us); err != nil {
				return err
			}
			*into = append(*into, max(0, float64(us)/1e6))
		}
		return rows.Err()
	}
	err := errors.Join(
		collect(&l.Slice, "SELECT finished - created FROM slice WHERE namespace = ? AND run = ? AND state = 'done' AND created > 0 ORDER BY 1"),
		collect(&l.STF, `SELECT max(finished) - max(stf) AS took FROM slice WHERE namespace = ? AND run = ? AND stf > 0
			GROUP BY filename HAVING min(state = 'done') ORDER BY took`))
	return l, failed(err)
}

// MergedHistograms are a run's histograms.
func (s *Store) MergedHistograms(ctx context.Context, namespace, run string) (hist.Set, error) {
	var doc []byte
	err := s.db.QueryRowContext(ctx, "SELECT doc FROM histogram WHERE namespace = ? AND run = ?", namespace, run).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var set hist.Set
	if err == nil {
		err = json.Unmarshal(doc, &set)
	}
	return set, failed(err)
}

// Workers are all pilots that ever reported.
func (s *Store) Workers(ctx context.Context, namespace string) ([]message.WorkerDocument, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seen, doc FROM worker WHERE ? IN ('', namespace) ORDER BY pilot", namespace)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	var out []message.WorkerDocument
	for rows.Next() {
		var seen int64
		var doc []byte
		var w message.WorkerDocument
		if err := rows.Scan(&seen, &doc); err != nil {
			return nil, failed(err)
		}
		if err := json.Unmarshal(doc, &w.WorkerReport); err != nil {
			return nil, failed(err)
		}
		w.LastSeen = time.UnixMicro(seen).UTC()
		out = append(out, w)
	}
	return out, failed(rows.Err())
}

// Actors are the programs that were seen to do one of idds' duties, in all namespaces when none is given.
func (s *Store) Actors(ctx context.Context, namespace string) ([]message.ActorDocument, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT doc FROM actor WHERE ? IN ('', namespace) ORDER BY namespace, duty, sender", namespace)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	return actors(rows)
}

func actors(rows *sql.Rows) ([]message.ActorDocument, error) {
	var out []message.ActorDocument
	for rows.Next() {
		var doc []byte
		var a message.ActorDocument
		if err := rows.Scan(&doc); err != nil {
			return nil, failed(err)
		}
		if err := json.Unmarshal(doc, &a); err != nil {
			return nil, failed(err)
		}
		out = append(out, a)
	}
	return out, failed(rows.Err())
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return exitcode.New(exitcode.StoreFailed, "reading the store: %w", err)
}
