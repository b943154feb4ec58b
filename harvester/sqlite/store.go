// Package sqlite keeps a harvester's workers in one SQLite file.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// schemaVersion is the present schema; a newer file is refused.
const schemaVersion = 1

const schema = `
CREATE TABLE IF NOT EXISTS worker (
  id TEXT PRIMARY KEY, live INTEGER NOT NULL, intended INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS worker_live ON worker (id) WHERE live;
CREATE INDEX IF NOT EXISTS worker_intended ON worker (intended);
`

// Store is the file.
type Store struct{ db *sql.DB }

var _ harvester.Store = (*Store)(nil)

// Open opens or makes harvester.db in a folder, which is made too.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "making the state folder: %w", err)
	}
	path := filepath.Join(dir, "harvester.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "opening the store %s: %w", path, err)
	}
	s := &Store{db}
	if err := s.migrate(ctx); err != nil {
		return nil, exitcode.Wrap(exitcode.StoreFailed, errors.Join(fmt.Errorf("opening the store %s: %w", path, err), db.Close()))
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	var version int
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("it has schema %d, this program knows up to %d", version, schemaVersion)
	}
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Put makes or replaces workers in one transaction.
func (s *Store) Put(ctx context.Context, workers ...harvester.Worker) (err error) {
	if len(workers) == 0 {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "storing workers: %w", err)
	}
	for _, w := range workers {
		doc, err := json.Marshal(w)
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO worker (id, live, intended, doc) VALUES (?, ?, ?, ?)",
				w.ID, w.State.Live(), w.IntendedAt.UnixNano(), string(doc))
		}
		if err != nil {
			return exitcode.New(exitcode.StoreFailed, "storing worker %s: %w", w.ID, errors.Join(err, tx.Rollback()))
		}
	}
	if err := tx.Commit(); err != nil {
		return exitcode.New(exitcode.StoreFailed, "storing workers: %w", err)
	}
	return nil
}

// Live returns the workers that may hold slots.
func (s *Store) Live(ctx context.Context) ([]harvester.Worker, error) {
	return s.query(ctx, "SELECT doc FROM worker WHERE live ORDER BY id")
}

// Latest returns the workers submitted last, newest first, at most limit.
func (s *Store) Latest(ctx context.Context, limit int) ([]harvester.Worker, error) {
	return s.query(ctx, "SELECT doc FROM worker ORDER BY intended DESC, id LIMIT ?", limit)
}

func (s *Store) query(ctx context.Context, query string, args ...any) ([]harvester.Worker, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "reading workers: %w", err)
	}
	defer rows.Close()
	out := []harvester.Worker{}
	for rows.Next() {
		var doc string
		var w harvester.Worker
		if err := rows.Scan(&doc); err != nil {
			return nil, exitcode.New(exitcode.StoreFailed, "reading workers: %w", err)
		}
		if err := json.Unmarshal([]byte(doc), &w); err != nil {
			return nil, exitcode.New(exitcode.StoreFailed, "decoding a worker: %w", err)
		}
		out = append(out, w)
	}
	if err := rows.Err(); err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "reading workers: %w", err)
	}
	return out, nil
}
