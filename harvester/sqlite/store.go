// Package sqlite keeps a harvester's workers, and a few documents, in one SQLite file.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	_ "modernc.org/sqlite" // the driver

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// schemaVersion is the present schema; an older file is migrated, a newer one refused.
const schemaVersion = 2

const schema = `
CREATE TABLE IF NOT EXISTS worker (
  id TEXT PRIMARY KEY, live INTEGER NOT NULL, intended INTEGER NOT NULL, doc TEXT NOT NULL,
  tag TEXT NOT NULL DEFAULT '', changed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS worker_live ON worker (id) WHERE live;
CREATE INDEX IF NOT EXISTS worker_intended ON worker (intended);
CREATE INDEX IF NOT EXISTS worker_tag ON worker (tag, live, changed);
`

// fromSchema1 adds what schema 2 has more; the rows are filled in by migrate.
const fromSchema1 = `
ALTER TABLE worker ADD COLUMN tag TEXT NOT NULL DEFAULT '';
ALTER TABLE worker ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
`

// Store is the file.
type Store struct{ db *sql.DB }

var _ harvester.Store = (*Store)(nil)

// Open opens or makes harvester.db in a folder, which is made too.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "making the state folder: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, "harvester.db"))
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "naming the store: %w", err)
	}
	// SQLite reads this as a URI: a question mark in the name of a folder would end the name there, and another store be opened.
	file := url.URL{Scheme: "file", Path: path}
	// A rollback journal, because a state folder is often on a network file system, and people ask from other machines: what a WAL
	// needs, memory shared by all who open it, is not to be had there. And it is written seldom.
	db, err := sql.Open("sqlite", file.String()+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(delete)&_pragma=synchronous(full)&_txlock=immediate")
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "opening the store %s: %w", path, err)
	}
	s := &Store{db}
	if err := s.migrate(ctx); err != nil {
		return nil, exitcode.Place(exitcode.StoreFailed, errors.Join(fmt.Errorf("opening the store %s: %w", path, err), db.Close()))
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil || version == schemaVersion {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	// Another one may have migrated it while we waited for the lock.
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil || version == schemaVersion {
		return err
	}
	if version == 1 {
		if _, err := tx.ExecContext(ctx, fromSchema1); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	if version == 1 {
		old, err := query(ctx, tx, "SELECT doc FROM worker")
		if err != nil {
			return err
		}
		for _, w := range old {
			w.ChangedAt = cmp.Or(w.EndedAt, w.StartedAt, w.IntendedAt)
			if err := put(ctx, tx, w); err != nil {
				return err
			}
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *Store) version(ctx context.Context) (version int, err error) {
	if err := s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	if version > schemaVersion {
		return 0, exitcode.New(exitcode.StoreVersion, "it has schema %d, this program knows up to %d: use the program that wrote it, or a newer one", version, schemaVersion)
	}
	return version, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Put makes or replaces workers in one transaction.
func (s *Store) Put(ctx context.Context, workers ...harvester.Worker) error {
	if len(workers) == 0 {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "storing workers: %w", err)
	}
	for _, w := range workers {
		if err := put(ctx, tx, w); err != nil {
			_ = tx.Rollback() // on a full disk SQLite has done that already
			return exitcode.New(exitcode.StoreFailed, "storing worker %s: %w", w.ID, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return exitcode.New(exitcode.StoreFailed, "storing workers: %w", err)
	}
	return nil
}

func put(ctx context.Context, tx *sql.Tx, w harvester.Worker) error {
	doc, err := json.Marshal(w)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO worker (id, live, intended, doc, tag, changed) VALUES (?, ?, ?, ?, ?, ?)",
		w.ID, w.State.Live(), w.IntendedAt.UnixNano(), string(doc), w.Tag, w.ChangedAt.UnixNano())
	return err
}

// Live returns the workers that may hold slots.
func (s *Store) Live(ctx context.Context) ([]harvester.Worker, error) {
	return query(ctx, s.db, "SELECT doc FROM worker WHERE live ORDER BY id")
}

// Latest returns the workers submitted last, newest first, at most limit.
func (s *Store) Latest(ctx context.Context, limit int) ([]harvester.Worker, error) {
	return query(ctx, s.db, "SELECT doc FROM worker ORDER BY intended DESC, id LIMIT ?", limit)
}

// Find returns the workers of a name: theirs, or the batch system's for them.
func (s *Store) Find(ctx context.Context, name string) ([]harvester.Worker, error) {
	return query(ctx, s.db, "SELECT doc FROM worker WHERE id = ? OR json_extract(doc, '$.batch_id') = ? ORDER BY intended DESC, id", name, name)
}

// Prune forgets submissions that ended before a time as a whole.
func (s *Store) Prune(ctx context.Context, before time.Time) (tags []string, err error) {
	rows, err := s.db.QueryContext(ctx, `DELETE FROM worker WHERE tag IN
		(SELECT tag FROM worker GROUP BY tag HAVING max(live) = 0 AND max(changed) < ?) RETURNING tag`, before.UnixNano())
	if err != nil {
		return nil, exitcode.New(exitcode.StoreFailed, "forgetting old workers: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var tag string
		if err := rows.Scan(&tag); err != nil {
			return nil, exitcode.New(exitcode.StoreFailed, "forgetting old workers: %w", err)
		}
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return slices.Compact(tags), exitcode.Wrap(exitcode.StoreFailed, rows.Err())
}

// Document reads a document by its name; false when there is none.
func (s *Store) Document(ctx context.Context, name string, into any) (bool, error) {
	var doc string
	err := s.db.QueryRowContext(ctx, "SELECT doc FROM document WHERE name = ?", name).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(doc), into)
	}
	if err != nil {
		return false, exitcode.New(exitcode.StoreFailed, "reading the document %s: %w", name, err)
	}
	return true, nil
}

// SetDocument replaces a document; nil removes it.
func (s *Store) SetDocument(ctx context.Context, name string, document any) error {
	doc, err := json.Marshal(document)
	switch {
	case err != nil:
	case document == nil:
		_, err = s.db.ExecContext(ctx, "DELETE FROM document WHERE name = ?", name)
	default:
		_, err = s.db.ExecContext(ctx, "INSERT OR REPLACE INTO document (name, doc) VALUES (?, ?)", name, string(doc))
	}
	if err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the document %s: %w", name, err)
	}
	return nil
}

// queryer is the database or a transaction of it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func query(ctx context.Context, db queryer, query string, args ...any) ([]harvester.Worker, error) {
	rows, err := db.QueryContext(ctx, query, args...)
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
